// What a schema is, as one text to compare: that of two databases, or before and after.
// Threads: as test::TestDatabase.
// Memory: returned by value.
// Errors: a failing query throws.
// Design: docs/architecture.md
#pragma once

#include <string>

#include "support/database.h"

namespace spanring::schema {

// What pg_dump -s would show: definitions, comments and rights, without the days' partitions.
[[nodiscard]] std::string Fingerprint(const test::TestDatabase& database);

}  // namespace spanring::schema
