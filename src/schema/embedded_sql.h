// The files of sql/, embedded by embed_sql.py when the program is built.
// Threads: constant data, any thread.
// Memory: static; the views never dangle.
// Errors: none.
// Design: docs/architecture.md
#pragma once

#include <span>

#include "absl/strings/string_view.h"

namespace spanring::schema {

// One step of sql/schema/, which is run once and never edited after a release.
struct Migration {
  int version;
  absl::string_view name;
  absl::string_view checksum;  // SHA-256 of `up`, in hex
  absl::string_view up;
  absl::string_view down;
};

enum class ObjectKind { kFunction, kView };

// One file of sql/objects/, which may be run any number of times.
struct Object {
  ObjectKind kind;
  absl::string_view name;
  absl::string_view text;
};

[[nodiscard]] std::span<const Migration> Migrations();  // by version, from 1 upwards, no gap
[[nodiscard]] std::span<const Object> Objects();        // in the order of their dependencies
[[nodiscard]] absl::string_view ObjectsChecksum();      // SHA-256 over all objects, in hex

}  // namespace spanring::schema
