// One reader per format: a file's bytes in, spans out.
// Threads: one.
// Memory: as JsonWalker; spans that stand before what names their service are kept until that
// comes,
//   at the latest until their trace (Jaeger) or their resource (OTLP) ends.
// Errors: told to the sink.
// Design: docs/operations.md#import
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "import/input.h"
#include "import/span.h"

namespace spanring::importer {

// {"data": [{"traceID", "spans", "processes"}]}, such a trace alone, or an array of them.
void ReadJaeger(Input* input, Sink* sink);
// {"resourceSpans": [...]}, "batches" for it too; one object, or many behind one another.
void ReadOtlp(Input* input, Sink* sink);
// ExportTraceServiceRequest, or TracesData, which is the same on the wire. Places are bytes of it,
// as columns; ids must have their length.
void ReadOtlpProtobuf(std::string_view body, Sink* sink);
// Version 2: an array of spans, an array of such arrays, or spans behind one another.
void ReadZipkin(Input* input, Sink* sink);
// With a header: TraceID, SpanID, ParentID, PodName or ServiceName, OperationName,
// StartTimeUnixNano, EndTimeUnixNano or Duration (in microseconds); other columns are attributes.
void ReadCsv(Input* input, Sink* sink);

void Read(Format format, Input* input, Sink* sink);

// By the content, which is read from its begin; as far as needed. InvalidArgument: none of them.
[[nodiscard]] absl::StatusOr<Format> Detect(Input* input);

}  // namespace spanring::importer
