// A row of trace_executions as people read it, for list and tail.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none: what is missing is an empty cell.
// Design: docs/operations.md#looking
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/render/table.h"

namespace spanring::cli {

// With `causes`, of rows that were asked for them: why it failed in place of what it was.
[[nodiscard]] std::vector<TableColumn> ExecutionColumns(bool causes);
// The row as PostgreSQL's JSON has it. What failed is marked, and in its status's tone.
[[nodiscard]] TableRow ExecutionRow(const nlohmann::json& execution, bool causes);

// Leaves out job, model and region where no row has one.
void DropEmpty(std::vector<TableColumn>* columns, std::vector<TableRow>* rows);

}  // namespace spanring::cli
