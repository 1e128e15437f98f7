// OpenTelemetry's SDK for JavaScript sends spans to `spanring serve --otlp`, and the API of serve tells
// what arrived: each exporter, compressed or not; many batches; and an answer that is lost on its way.
// ./run otlp, or npm ci && node check.mjs PROGRAM where the program finds its database by itself.
import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { spawn } from 'node:child_process';
import http from 'node:http';

const [program] = process.argv.slice(2);
// Another run over the same database has other executions.
const firstId = Date.now();
let passed = 0;
let failed = 0;

function check(what, holds, seen) {
  if (holds) passed += 1;
  else failed += 1;
  const shown = holds ? '' : `: ${JSON.stringify(seen)?.slice(0, 800)}`;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}${shown}`);
}

// What it prints says where it listens.
async function started() {
  const child = spawn(program, ['serve', '--port', '0', '--otlp', '--otlp-port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const piece of child.stdout) {
    said += piece;
    const found = /(http:\S+:\d+)\/ [^]*(http:\S+:\d+)\/v1\/traces/.exec(said);
    if (found) return { child, page: found[1], otlp: found[2] };
  }
  throw new Error(`serve did not start: ${said}`);
}

const server = await started();
const get = async (path) => (await fetch(server.page + path)).text();
const traceOf = async (id) => JSON.parse(await get(`/api/v1/executions/${id}/trace`));
const metric = async (name) =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await get('/metrics'))?.[1]);

function providerOf(exporter, options = {}) {
  return new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'js-service', 'host.name': 'h1', job_id: 'job-7' }),
    spanProcessors: [new BatchSpanProcessor(exporter, options)],
  });
}

// A question that fails in its second step.
function ask(tracer, executionId) {
  const root = tracer.startSpan('question', {
    kind: SpanKind.SERVER,
    attributes: { execution_id: executionId, 'http.request.method': 'GET', sizes: [1, 2.5] },
  });
  const inside = trace.setSpan(context.active(), root);
  const first = tracer.startSpan('look up', { attributes: { cached: true } }, inside);
  first.end();
  const second = tracer.startSpan('call', {
    kind: SpanKind.CLIENT, links: [{ context: first.spanContext(), attributes: { why: 'order' } }],
  }, inside);
  second.addEvent('sent', { bytes: 12 });
  second.recordException(new TypeError('no such model “é”'));
  second.setStatus({ code: SpanStatusCode.ERROR, message: 'it broke' });
  second.end();
  root.end();
}

// Without what differs each time.
function plain(span) {
  const { span_id, parent_span_id, offset_ns, duration_ns, self_time_ns, started_at, completed_at,
    shift_ns, shift_reason, row_order, parent_row, last_row, execution_id, ...rest } = span;
  return JSON.stringify(rest, (key, value) =>
    (['time_unix_nano', 'span_id', 'trace_id', 'exception.stacktrace'].includes(key) ? 0 : value));
}

const ways = [
  ['JSON', JsonExporter, {}],
  ['JSON, gzip', JsonExporter, { compression: 'gzip' }],
  ['protobuf', ProtobufExporter, {}],
  ['protobuf, gzip', ProtobufExporter, { compression: 'gzip' }],
];
process.env.OTEL_EXPORTER_OTLP_ENDPOINT = server.otlp;
let like;
for (const [index, [name, Exporter, options]] of ways.entries()) {
  const id = firstId + index;
  const provider = providerOf(new Exporter(options));
  ask(provider.getTracer('check', '1.2'), id);
  await provider.shutdown();
  const told = await traceOf(id);
  const spans = told.spans ?? [];
  check(`${name}: three spans of one service arrive`,
    spans.length === 3 && JSON.stringify(told).includes('js-service'), told);
  const call = spans.find((span) => span.operation === 'call') ?? {};
  check(`${name}: the failed one says why`, call.status === 'failed' &&
    call.error_type === 'TypeError' && call.error_message === 'it broke', call);
  const metadata = call.metadata ?? {};
  check(`${name}: kind, events, links, resource and scope are kept`,
    metadata['span.kind'] === 'client' && metadata.events?.[0].name === 'sent' &&
    metadata.events[1].attributes['exception.message'] === 'no such model “é”' &&
    metadata.links?.[0].attributes.why === 'order' && metadata.scope?.version === '1.2' &&
    metadata.resource?.['host.name'] === 'h1', metadata);
  check(`${name}: job and execution are columns`,
    told.common?.job_id === 'job-7' || spans.some((span) => span.job_id === 'job-7'), told.common);
  const shape = spans.map(plain).sort().join('\n');
  like ??= shape;
  check(`${name}: the same as the first way gives`, shape === like, [shape, like]);
}

// Batches of 512, as they are by default, on one connection.
const before = await metric('spanring_otlp_spans_stored_total');
const many = providerOf(new ProtobufExporter({ compression: 'gzip' }), { maxQueueSize: 10_000 });
const tracer = many.getTracer('many');
for (let i = 0; i < 5000; i += 1) tracer.startSpan(`step ${i % 7}`).end();
await many.shutdown();
check('5000 spans in batches arrive once each',
  await metric('spanring_otlp_spans_stored_total') - before === 5000,
  await get('/metrics'));

// The request arrives, its answer does not: the SDK sends it again.
let cut = 0;
const lossy = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', async () => {
    const answer = await fetch(`${server.otlp}${request.url}`, {
      method: 'POST',
      headers: {
        'content-type': request.headers['content-type'],
        ...(request.headers['content-encoding'] &&
          { 'content-encoding': request.headers['content-encoding'] }),
      },
      body: Buffer.concat(pieces),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    if (cut < 1) {
      cut += 1;
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') });
    response.end(body);
  });
});
await new Promise((resolve) => lossy.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${lossy.address().port}/v1/traces`;
const id = firstId + 100;
const provider = providerOf(new JsonExporter({ url }));
ask(provider.getTracer('check', '1.2'), id);
await provider.shutdown();
lossy.close();
check('an answer that is lost: sent again, stored once',
  cut === 1 && (await traceOf(id)).spans.length === 3 &&
  await metric('spanring_otlp_requests_repeated_total') === 1, await get('/metrics'));
check('nothing was refused or rejected', !/spanring_otlp_(requests_refused|spans_rejected)_total\S* [1-9]/
  .test(await get('/metrics')), await get('/metrics'));

server.child.kill('SIGTERM');
await new Promise((resolve) => server.child.on('exit', resolve));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
