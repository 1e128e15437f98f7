// The scorer of ./run e2e: a service that knows nothing of Spanring, and is traced by OpenTelemetry's SDK for
// JavaScript. OTEL_EXPORTER_OTLP_ENDPOINT says where to. Prints its port.
import { SpanKind, ROOT_CONTEXT, defaultTextMapGetter } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import http from 'node:http';

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'scorer' }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 200 })],
});
const tracer = provider.getTracer('scorer');
const propagator = new W3CTraceContextPropagator();

const server = http.createServer((request, response) => {
  const caller = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
  const span = tracer.startSpan('scorer.score', { kind: SpanKind.SERVER, attributes: { score: 0.5 } }, caller);
  request.resume();
  setTimeout(() => {
    span.end();
    response.end('0.5');
  }, 5);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', async () => {
  await provider.shutdown();
  process.exit(0);
});
