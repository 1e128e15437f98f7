// /metrics in Prometheus' text format: the server's own numbers, then what the database knows of
// the writers.
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "serve/service.h"

namespace spanring::serve {
namespace {

void Describe(std::string* text, const char* name, const char* type, const char* help) {
  absl::StrAppend(text, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

void Add(std::string* text, const char* name, const char* type, const char* help,
         std::string_view value) {
  Describe(text, name, type, help);
  absl::StrAppend(text, name, " ", absl::string_view(value.data(), value.size()), "\n");
}

std::string Label(std::string_view value) {
  return absl::StrReplaceAll(absl::string_view(value.data(), value.size()),
                             {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

struct Gauge {
  const char* name;
  const char* help;
  const char* column;  // of trace_spans_health
};

constexpr Gauge kGauges[] = {
    {"spanring_spans_stored", "Spans in the database's sums, those sampled out among them.",
     "total_spans"},
    {"spanring_spans_sampled_out", "Spans of writers still known that are summed and not stored.",
     "spans_sampled_out"},
    {"spanring_spans_stored_failed", "Of those, failed.", "failed_spans"},
    {"spanring_spans_stored_timeout", "Of those, timed out.", "timeout_spans"},
    {"spanring_spans_open", "Spans reported as open.", "open_spans"},
    {"spanring_spans_last_hour", "Spans of the last full and the current hour.", "spans_last_hour"},
    {"spanring_writers_active", "Writers seen in the last hour and not stopped.", "writers_active"},
};

}  // namespace

absl::StatusOr<std::string> Metrics(answers::Reader* reader, const http::ServerCounts& counts) {
  std::string text;
  Add(&text, "spanring_http_connections_total", "counter", "Connections accepted.",
      absl::StrCat(counts.connections));
  Add(&text, "spanring_http_connections_refused_total", "counter",
      "Closed for there were too many.", absl::StrCat(counts.connections_refused));
  Add(&text, "spanring_http_connections_open", "gauge", "Connections now.",
      absl::StrCat(counts.open_connections));
  Add(&text, "spanring_http_requests_total", "counter", "Requests read.",
      absl::StrCat(counts.requests));
  Add(&text, "spanring_http_requests_refused_total", "counter",
      "Requests that were malformed, too large, too slow or too many.",
      absl::StrCat(counts.requests_refused));
  Add(&text, "spanring_database_queries_total", "counter", "Questions to the database.",
      absl::StrCat(reader->asked()));
  Add(&text, "spanring_database_queries_failed_total", "counter", "Of those, failed.",
      absl::StrCat(reader->failed()));

  const absl::StatusOr<pg::Result> health = reader->Ask("SELECT * FROM trace_spans_health");
  Add(&text, "spanring_database_up", "gauge", "1 when the database answered just now.",
      health.ok() ? "1" : "0");
  if (!health.ok() || PQntuples(health->get()) != 1) return text;
  for (const Gauge& gauge : kGauges) {
    const int column = PQfnumber(health->get(), gauge.column);
    if (column < 0 || PQgetisnull(health->get(), 0, column) == 1) continue;
    Add(&text, gauge.name, "gauge", gauge.help, pg::Cell(health->get(), 0, column));
  }
  const absl::StatusOr<pg::Result> sizes =
      reader->Ask("SELECT coalesce(sum(total_bytes), 0)::bigint FROM trace_partitions");
  if (sizes.ok()) {
    Add(&text, "spanring_spans_bytes", "gauge", "Size of trace_spans with its indexes.",
        pg::Cell(sizes->get(), 0, 0));
  }
  const absl::StatusOr<pg::Result> drops = reader->Ask(
      "SELECT entry.key, sum(entry.value::bigint) FROM trace_writers AS writers"
      " CROSS JOIN jsonb_each_text(writers.drops) AS entry GROUP BY entry.key ORDER BY entry.key");
  if (drops.ok()) {
    Describe(&text, "spanring_spans_dropped", "gauge",
             "Spans that writers still known had to drop, by reason.");
    for (int row = 0; row < PQntuples(drops->get()); ++row) {
      absl::StrAppend(&text, "spanring_spans_dropped{reason=\"",
                      Label(pg::Cell(drops->get(), row, 0)), "\"} ",
                      std::string(pg::Cell(drops->get(), row, 1)), "\n");
    }
  }
  const absl::StatusOr<pg::Result> persisted =
      reader->Ask("SELECT coalesce(sum(spans_persisted), 0)::bigint FROM trace_writers");
  if (persisted.ok()) {
    Add(&text, "spanring_writers_spans_persisted", "gauge",
        "Spans that writers still known have stored.", pg::Cell(persisted->get(), 0, 0));
  }
  return text;
}

}  // namespace spanring::serve
