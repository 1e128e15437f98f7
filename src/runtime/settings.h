// Where options come from: the environment, or settings by the environment's names.
// Threads: any. Memory: by value.
// Errors: a value that is none keeps the default, and is warned about.
// Design: docs/operations.md
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "spanring/options.h"

namespace spanring::runtime {

// Brings options into their ranges, whoever made them.
Options Clamp(Options options);

// The value of a setting; empty where it is not set.
using Lookup = std::function<std::string(const char* name)>;
std::string FromEnvironment(const char* name);
Options ReadOptions(const Lookup& value_of);

// Whether there is a setting of that name.
bool IsSetting(std::string_view name);

}  // namespace spanring::runtime
