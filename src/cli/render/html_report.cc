#include "cli/render/html_report.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

// Okabe and Ito's palette: told apart with any colour vision.
constexpr std::size_t kColours = 6;
constexpr std::int64_t kDeepestIndent = 30;

constexpr char kStyle[] = R"css(
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5c6670;--line:#dfe3e8;--card:#f6f8fa;
--bad:#b42318;--warn:#8a5a00;--good:#0b6b4f;--s0:#3f97cc;--s1:#d98a00;--s2:#009e73;--s3:#b8618f;--s4:#a89a12;--s5:#0072b2}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--dim:#9aa4ae;--line:#2d333a;--card:#1c2126;
--bad:#ff8a7a;--warn:#f2b84b;--good:#4fd0a5;--s0:#56b4e9;--s1:#e69f00;--s2:#1fbf90;--s3:#cc79a7;--s4:#d8cb3c;--s5:#4a9fd8}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:100rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:1.8rem 0 .6rem}
.facts{color:var(--dim);margin:.2rem 0 0}.facts span{margin-right:1.2em;white-space:nowrap}
.failed{color:var(--bad)}.timeout,.started{color:var(--warn)}.completed{color:var(--good)}
.card{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--bad);border-radius:4px;padding:.7rem 1rem}
.card p{margin:.3rem 0;overflow-wrap:anywhere}.card b{font-size:1.05rem}.calm{border-left-color:var(--good)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th{color:var(--dim);font-weight:600}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.row summary,.gap,.axis{display:grid;grid-template-columns:minmax(12rem,26%) 1fr 6.5rem 5.5rem;gap:.7rem;align-items:center;padding:1px .2rem}
.row summary{cursor:pointer;list-style:none}.row summary::-webkit-details-marker{display:none}
.row summary:hover,.row summary:focus-visible{background:var(--card)}
.name{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.track{position:relative;height:1.05rem;border-left:1px solid var(--line);border-right:1px solid var(--line);overflow:hidden}
.track i{position:absolute;top:.15rem;bottom:.15rem;min-width:2px;border-radius:2px;background:var(--c)}
.open .track i{background:repeating-linear-gradient(90deg,var(--c) 0 6px,transparent 6px 9px)}
.gap{color:var(--dim)}.gap .track i{background:repeating-linear-gradient(45deg,var(--dim) 0 2px,transparent 2px 6px)}
.suspect .name{font-weight:700}.suspect .track i{outline:2px solid var(--bad);outline-offset:-1px}
.axis{color:var(--dim);font-size:.85rem;position:sticky;top:0;background:var(--bg)}.axis .track{height:1.3rem;border:0}.axis b{position:absolute;white-space:nowrap;font-weight:400;transform:translateX(-50%)}
.axis b:first-child{transform:none}.axis b:last-child{transform:translateX(-100%)}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.2rem 0 .8rem 1.2rem;padding:.5rem .8rem;background:var(--card);border-radius:4px}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}
.key span{margin-right:1.2em}.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;background:var(--c);margin-right:.35em}
footer{color:var(--dim);font-size:.85rem;margin-top:2rem}
@media(max-width:40rem){body{padding:1rem}.row summary,.gap,.axis{grid-template-columns:1fr auto auto;row-gap:0;padding:.2rem}
.track{grid-column:1/-1;grid-row:2}.axis span:not(.track),.axis b:nth-child(even){display:none}.st:empty{display:none}
th{display:none}tr,td{display:block}tr{padding:.4rem 0;border-bottom:1px solid var(--line)}td,td.n{border:0;padding:0;text-align:left}
td[data-is]::before{content:attr(data-is) " ";color:var(--dim)}dl{grid-template-columns:1fr;margin-left:0}}
)css";

std::string Percent(std::int64_t part_ns, std::int64_t whole_ns) {
  char text[32];
  const double share = whole_ns <= 0 ? 0 : 100.0 * static_cast<double>(part_ns) / whole_ns;
  std::snprintf(text, sizeof(text), "%.4f%%", std::clamp(share, 0.0, 100.0));
  return text;
}

// Sums of what other clocks say must not overflow.
std::int64_t Sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? INT64_MAX / 4 : INT64_MIN / 4;
}

class Page {
 public:
  explicit Page(const HtmlReport& report) : report_(report) {
    std::int64_t end_ns = 1;
    for (const HtmlSpan& span : report.spans) {
      const std::int64_t offset_ns = std::clamp(span.offset_ns, INT64_MIN / 4, INT64_MAX / 4);
      start_ns_ = std::min(start_ns_, offset_ns);
      end_ns = std::max(end_ns, Sum(offset_ns, span.duration_ns.value_or(0)));
      services_.emplace(span.service, services_.size());
    }
    length_ns_ = Sum(std::min(end_ns, INT64_MAX / 4), -start_ns_);
  }

  std::string Draw() {
    Head();
    if (report_.is_diagnosed) Causes();
    if (report_.is_diagnosed) Anomalies();
    Waterfall();
    Put("<footer>", EscapeHtml(report_.program),
        ". Click a span for its attributes; hatched: no span covers it.</footer>\n</html>\n");
    return std::move(out_);
  }

 private:
  template <typename... Parts>
  void Put(const Parts&... parts) {
    absl::StrAppend(&out_, parts...);
  }

  void Head() {
    Put("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
        EscapeHtml(report_.title), "</title>\n<style>", kStyle, "</style>\n<header><h1>",
        EscapeHtml(report_.title), " ", Status(report_.status), "</h1>\n<p class=\"facts\">");
    for (const auto& [name, value] : report_.facts) {
      Put("<span>", EscapeHtml(name), " ", EscapeHtml(value), "</span> ");
    }
    Put("</p></header>\n");
  }

  static std::string Status(const std::string& status) {
    const bool known =
        status == "failed" || status == "timeout" || status == "started" || status == "completed";
    return absl::StrCat("<span", known ? absl::StrCat(" class=\"", status, "\"") : "", ">",
                        EscapeHtml(status), "</span>");
  }

  void Cause(const HtmlCause& cause) {
    Put("<div class=\"card\"><p><b>", EscapeHtml(cause.type), "</b> ", EscapeHtml(cause.where),
        "</p>\n<p>", EscapeHtml(cause.evidence), "</p>\n<p>", EscapeHtml(cause.recommendation),
        "</p>\n<p class=\"facts\">confidence ", EscapeHtml(cause.confidence), "</p></div>\n");
  }

  void Causes() {
    Put("<section><h2>Root cause</h2>\n");
    if (report_.causes.empty()) Put("<div class=\"card calm\"><p>Nothing failed in it.</p></div>");
    for (std::size_t i = 0; i < report_.causes.size(); ++i) {
      if (i == 1) {
        Put("<details><summary>", report_.causes.size() - 1, " other candidate",
            report_.causes.size() > 2 ? "s" : "", "</summary>\n");
      }
      Cause(report_.causes[i]);
    }
    Put(report_.causes.size() > 1 ? "</details>" : "", "</section>\n");
  }

  void Anomalies() {
    Put("<section><h2>Diagnosis</h2>\n<p>", report_.anomalies.size(), " of ", report_.operations,
        report_.operations == 1 ? " operation" : " operations", " out of the ordinary.</p>\n");
    if (!report_.anomalies.empty()) {
      Put("<table><tr><th>operation<th class=\"n\">duration<th class=\"n\">baseline<th>status"
          "<th>why</tr>\n");
      for (const HtmlAnomaly& anomaly : report_.anomalies) {
        // Where there is no room for columns a cell names its own.
        Put("<tr><td>", EscapeHtml(anomaly.operation), "<td class=\"n\" data-is=\"duration\">",
            EscapeHtml(anomaly.duration), "<td class=\"n\" data-is=\"baseline\">",
            EscapeHtml(anomaly.baseline), "<td data-is=\"status\">", Status(anomaly.status),
            "<td data-is=\"why\">", EscapeHtml(anomaly.reason), "</tr>\n");
      }
      Put("</table>");
    }
    Put("</section>\n");
  }

  void Key() {
    Put("<p class=\"key\">");
    for (const auto& [service, n] : services_) {
      Put("<span class=\"s", n % kColours, "\"><i></i>", EscapeHtml(service), "</span> ");
    }
    Put("</p>\n");
  }

  void Axis() {
    Put("<div class=\"axis\"><span></span><span class=\"track\">");
    for (int quarter = 0; quarter <= 4; ++quarter) {
      const std::int64_t at_ns = start_ns_ + length_ns_ / 4 * quarter;
      Put("<b style=\"left:", 25 * quarter, "%\">",
          at_ns == 0 ? "0" : EscapeHtml(FormatDuration(at_ns)), "</b>");
    }
    Put("</span><span></span><span></span></div>\n");
  }

  void Bar(std::int64_t offset_ns, std::int64_t length_ns, const std::string& tip) {
    const std::int64_t from_ns = Sum(offset_ns, -start_ns_);
    Put("<span class=\"track\"><i style=\"left:min(", Percent(from_ns, length_ns_),
        ",100% - 2px);width:", Percent(std::min(length_ns, Sum(length_ns_, -from_ns)), length_ns_),
        "\" title=\"", tip, "\"></i></span>");
  }

  void Indent(std::int64_t depth) {
    Put("<span class=\"name\" style=\"padding-left:",
        std::clamp<std::int64_t>(depth, 0, kDeepestIndent), "em\"");
  }

  void Span(const HtmlSpan& span) {
    const std::string name = EscapeHtml(Label(span.service, span.operation));
    const bool is_open = !span.duration_ns.has_value();
    const std::string length = is_open ? "open" : EscapeHtml(FormatDuration(*span.duration_ns));
    const std::string tip = absl::StrCat(name, ", ", length, ", ", EscapeHtml(span.status),
                                         ", from ", EscapeHtml(FormatDuration(span.offset_ns)));
    Put("<details class=\"row s", services_[span.service] % kColours, is_open ? " open" : "",
        span.is_suspect ? " suspect" : "", "\"><summary>");
    Indent(span.depth);
    Put(" title=\"", tip, "\">", name, "</span>");
    Bar(span.offset_ns,
        span.duration_ns.value_or(Sum(length_ns_, -Sum(span.offset_ns, -start_ns_))), tip);
    Put("<span class=\"n\">", length, "</span><span class=\"st\">", Status(span.status),
        "</span></summary>\n<dl>");
    for (const auto& [key, value] : span.facts) {
      if (!value.empty()) Put("<dt>", EscapeHtml(key), "<dd>", EscapeHtml(value), "\n");
    }
    if (!span.metadata.empty()) {
      Put("<dt>attributes<dd><pre>", EscapeHtml(span.metadata), "</pre>");
    }
    Put("</dl></details>\n");
  }

  void Gap(const HtmlGap& gap, std::int64_t depth) {
    const std::string label = EscapeHtml(gap.label);
    const std::string length = EscapeHtml(FormatDuration(gap.duration_ns));
    Put("<div class=\"gap\">");
    Indent(depth);
    Put(">gap ", label, "</span>");
    Bar(gap.offset_ns, gap.duration_ns,
        absl::StrCat("no span covers ", length, ", from ",
                     EscapeHtml(FormatDuration(gap.offset_ns)), " ", label));
    Put("<span class=\"n\">", length, "</span><span class=\"st\"></span></div>\n");
  }

  // A gap stands behind what lies below its parent.
  void Waterfall() {
    std::map<std::int64_t, const HtmlSpan*> by_row;
    for (const HtmlSpan& span : report_.spans) by_row.emplace(span.row, &span);
    std::multimap<std::int64_t, const HtmlGap*> gaps;
    for (const HtmlGap& gap : report_.gaps) {
      const auto parent = by_row.find(gap.parent_row);
      if (parent != by_row.end()) gaps.emplace(parent->second->last_row, &gap);
    }
    Put("<section><h2>", report_.spans.size(), report_.spans.size() == 1 ? " span" : " spans",
        " in ", EscapeHtml(FormatDuration(length_ns_)), "</h2>\n");
    Key();
    Axis();
    for (const HtmlSpan& span : report_.spans) {
      Span(span);
      const auto [first, last] = gaps.equal_range(span.row);
      for (auto gap = first; gap != last; ++gap) {
        Gap(*gap->second, by_row[gap->second->parent_row]->depth + 1);
      }
    }
    Put("</section>\n");
  }

  const HtmlReport& report_;
  std::string out_;
  std::int64_t start_ns_ = 0;
  std::int64_t length_ns_ = 1;
  std::map<std::string, std::size_t> services_;
};

}  // namespace

std::string EscapeHtml(const std::string& text) {
  return absl::StrReplaceAll(
      Escape(text),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string DrawHtml(const HtmlReport& report) { return Page(report).Draw(); }

}  // namespace spanring::cli
