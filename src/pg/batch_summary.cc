#include "pg/batch_summary.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spanring::pg {
namespace {

// trace_bucket() in SQL computes the same.
constexpr double kLogGamma = 0.020000666706669435;

std::int32_t BucketOf(std::int64_t duration_ns) {
  if (duration_ns <= 1) return 0;
  return static_cast<std::int32_t>(
      std::ceil(std::log(static_cast<double>(duration_ns)) / kLogGamma));
}

std::int64_t HourOf(std::int64_t unix_us) {
  constexpr std::int64_t kHourUs = 3'600'000'000;
  const std::int64_t hour = unix_us / kHourUs;
  return unix_us % kHourUs < 0 ? hour - 1 : hour;
}

std::int64_t DayOf(std::int64_t hour) {
  const std::int64_t day = hour / 24;
  return (hour % 24 < 0 ? day - 1 : day) * 24;
}

// A row may come from a file: what goes into a statement as it is, is said here. Another word the
// table refuses.
std::string_view WordOfOurOwn(std::string_view status) {
  for (const std::string_view word : {"completed", "failed", "timeout"}) {
    if (status == word) return word;
  }
  return "started";
}

// An array literal, element by element.
class ArrayLiteral {
 public:
  template <typename Value>
  void Add(const Value& value) {
    absl::StrAppend(&text_, text_.empty() ? "" : ",", value);
  }
  template <typename Value>
  void AddUnless(bool is_null, const Value& value) {
    is_null ? Add("NULL") : Add(value);
  }
  void AppendTo(std::string* sql) const { absl::StrAppend(sql, ", '{", text_, "}'"); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Texts by number, from 1 on; 0 is none.
class Names {
 public:
  std::size_t Number(std::string_view name) {
    const auto [at, is_new] = numbers_.try_emplace(name, numbers_.size() + 1);
    if (is_new) {
      const absl::string_view text(name.data(), name.size());
      literal_.Add(absl::StrCat("\"", absl::Base64Escape(text), "\""));
    }
    return at->second;
  }
  std::size_t NumberOrNone(std::string_view name) { return name.empty() ? 0 : Number(name); }
  const ArrayLiteral& literal() const { return literal_; }

 private:
  absl::flat_hash_map<std::string_view, std::size_t> numbers_;
  ArrayLiteral literal_;
};

std::string Call(std::string_view function, const Names& names,
                 std::initializer_list<const ArrayLiteral*> arrays) {
  std::string sql =
      absl::StrCat("SELECT ", std::string(function), "('{", names.literal().text(), "}'");
  for (const ArrayLiteral* array : arrays) array->AppendTo(&sql);
  return sql + "); ";
}

}  // namespace

void BatchSummary::Clear() {
  rollups_.clear();
  executions_.clear();
}

std::uint32_t BatchSummary::Add(std::string_view rows) {
  std::uint32_t unstored = 0;
  flush::RowView row;
  while (flush::ReadRow(&rows, &row)) {
    row.status = WordOfOurOwn(row.status);
    AddToRollup(row);
    if (!row.is_stored) ++unstored;
    if (row.execution_id.has_value()) AddToExecution(row, *row.execution_id);
  }
  return unstored;
}

void BatchSummary::AddUnstored(std::string_view rows) {
  flush::RowView row;
  while (flush::ReadRow(&rows, &row)) {
    if (row.is_stored) continue;
    row.status = WordOfOurOwn(row.status);
    AddToRollup(row);
  }
}

void BatchSummary::AddToRollup(const flush::RowView& row) {
  Rollup& rollup = rollups_[{row.service, row.operation, row.status, HourOf(row.started_us)}];
  ++rollup.spans;
  if (!row.has_parent) ++rollup.roots;
  if (row.duration_ns < 0) return;
  ++rollup.samples;
  rollup.sum_ns += static_cast<std::uint64_t>(row.duration_ns);
  rollup.min_ns = std::min(rollup.min_ns, row.duration_ns);
  rollup.max_ns = std::max(rollup.max_ns, row.duration_ns);
  ++rollup.buckets[BucketOf(row.duration_ns)];
}

void BatchSummary::AddToExecution(const flush::RowView& row, std::int64_t id) {
  const auto [at, is_new] = executions_.try_emplace(id);
  Execution& execution = at->second;
  if (is_new) {
    execution.started_us = row.started_us;
    execution.ended_us = row.ended_us;
    execution.trace_id = row.trace_id;
  }
  execution.started_us = std::min(execution.started_us, row.started_us);
  execution.ended_us = std::max(execution.ended_us, row.ended_us);
  ++execution.spans;
  if (row.status == "failed") ++execution.failed;
  if (row.status == "timeout") ++execution.timeouts;
  if (!row.has_parent && row.duration_ns > execution.root_ns) {
    execution.root_ns = row.duration_ns;
    execution.trace_id = row.trace_id;
    execution.root_service = row.service;
    execution.root_operation = row.operation;
    execution.root_status = row.status;
  }
  if (execution.job_id.empty()) execution.job_id = row.job_id;
  if (execution.model_id.empty()) execution.model_id = row.model_id;
  if (execution.region.empty()) execution.region = row.region;
  if (std::find(execution.services.begin(), execution.services.end(), row.service) ==
      execution.services.end()) {
    execution.services.push_back(row.service);
  }
}

void BatchSummary::Rollup::Add(const Rollup& other) {
  spans += other.spans;
  roots += other.roots;
  samples += other.samples;
  sum_ns += other.sum_ns;
  min_ns = std::min(min_ns, other.min_ns);
  max_ns = std::max(max_ns, other.max_ns);
  for (const auto& [bucket, count] : other.buckets) buckets[bucket] += count;
}

BatchSummary::Rollups BatchSummary::Days() const {
  Rollups days;
  for (const auto& [key, hour] : rollups_) {
    RollupKey day = key;
    std::get<3>(day) = DayOf(std::get<3>(key));
    days[day].Add(hour);
  }
  return days;
}

std::string BatchSummary::RollupsStatement() const {
  Names names;
  ArrayLiteral services, operations, statuses, hours, begins, spans, roots, sums, shortest, longest;
  ArrayLiteral bucket_rows, buckets, bucket_spans;
  std::size_t rows = 0;
  const auto add = [&](const Rollups& rollups, int length) {
    for (const auto& [key, rollup] : rollups) {
      const auto& [service, operation, status, begin] = key;
      ++rows;
      services.Add(names.Number(service));
      operations.Add(names.Number(operation));
      statuses.Add(absl::string_view(status.data(), status.size()));
      hours.Add(length);
      begins.Add(begin);
      spans.Add(rollup.spans);
      roots.Add(rollup.roots);
      sums.Add(absl::StrFormat("%d", rollup.sum_ns));
      shortest.AddUnless(rollup.samples == 0, rollup.min_ns);
      longest.AddUnless(rollup.samples == 0, rollup.max_ns);
      for (const auto& [bucket, count] : rollup.buckets) {
        bucket_rows.Add(rows);
        buckets.Add(bucket);
        bucket_spans.Add(count);
      }
    }
  };
  add(rollups_, 1);
  add(Days(), 24);
  return Call("trace_add_rollups", names,
              {&services, &operations, &statuses, &hours, &begins, &spans, &roots, &sums, &shortest,
               &longest, &bucket_rows, &buckets, &bucket_spans});
}

std::string BatchSummary::ExecutionsStatement() const {
  Names names;
  ArrayLiteral ids, started, ended, spans, failed, timeouts, traces;
  ArrayLiteral root_ns, root_services, root_operations, root_statuses, jobs, models, regions;
  ArrayLiteral service_executions, services;
  std::size_t rows = 0;
  for (const auto& [id, execution] : executions_) {
    ++rows;
    ids.Add(id);
    started.Add(execution.started_us);
    ended.Add(execution.ended_us);
    spans.Add(execution.spans);
    failed.Add(execution.failed);
    timeouts.Add(execution.timeouts);
    traces.Add(execution.trace_id.ToUuid());
    const bool has_root = execution.root_ns >= 0;
    root_ns.AddUnless(!has_root, execution.root_ns);
    root_services.Add(has_root ? names.Number(execution.root_service) : 0);
    root_operations.Add(has_root ? names.Number(execution.root_operation) : 0);
    root_statuses.AddUnless(
        !has_root, absl::string_view(execution.root_status.data(), execution.root_status.size()));
    jobs.Add(names.NumberOrNone(execution.job_id));
    models.Add(names.NumberOrNone(execution.model_id));
    regions.Add(names.NumberOrNone(execution.region));
    for (const std::string_view service : execution.services) {
      service_executions.Add(rows);
      services.Add(names.Number(service));
    }
  }
  return Call(
      "trace_add_executions", names,
      {&ids, &started, &ended, &spans, &failed, &timeouts, &traces, &root_ns, &root_services,
       &root_operations, &root_statuses, &jobs, &models, &regions, &service_executions, &services});
}

std::string BatchSummary::Statements() const {
  std::string sql;
  if (!rollups_.empty()) sql += RollupsStatement();
  if (!executions_.empty()) sql += ExecutionsStatement();
  return sql;
}

}  // namespace spanring::pg
