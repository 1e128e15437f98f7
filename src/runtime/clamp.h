// Brings options into their ranges, whoever made them.
// Threads: any. Memory: by value. Errors: none.
// Design: docs/operations.md
#pragma once

#include "spanring/options.h"

namespace spanring::runtime {

Options Clamp(Options options);

}  // namespace spanring::runtime
