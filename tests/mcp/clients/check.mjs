// Two generations of the SDK's client against spanring, over both transports: every tool, with answers
// checked against their output schemas by the SDK; wrong arguments; unknown ids; and queries that must
// be refused. The first negotiates 2025-11-25 with `initialize`, the second speaks 2026-07-28.
// ./run mcp, or npm ci && node check.mjs PROGRAM DATABASE EXECUTION_ID: with the data of `./run demo`.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as NewClient, StreamableHTTPClientTransport as NewHttp }
  from '@modelcontextprotocol/client';
import { StdioClientTransport as NewStdio } from '@modelcontextprotocol/client/stdio';
import { spawn } from 'node:child_process';

const [program, database, id = '2193'] = process.argv.slice(2);
const executionId = Number(id);
let passed = 0;
let failed = 0;

function check(what, holds, seen) {
  if (holds) passed += 1;
  else failed += 1;
  const shown = holds ? '' : `: ${JSON.stringify(seen).slice(0, 600)}`;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}${shown}`);
}

async function all(client, transport, isNew) {
  console.log(`-- ${transport}: ${JSON.stringify(client.getServerVersion())}`,
    client.getNegotiatedProtocolVersion?.() ?? '');
  const call = async (name, args) => client.callTool({ name, arguments: args });
  const { tools } = await client.listTools();
  check('ten tools, all read-only', tools.length === 10 &&
    tools.every((tool) => tool.annotations.readOnlyHint && tool.outputSchema), tools);
  if (!isNew) await client.ping();  // Not in 2026-07-28.

  const diagnosis = await call('diagnose_execution', { execution_id: executionId });
  const trace = diagnosis.structuredContent.execution.trace_id;
  const good = {
    diagnose_execution: { execution_id: executionId },
    find_timeout_root_cause: { execution_id: executionId },
    compare_with_successful: { execution_id: executionId },
    get_recent_failures: { limit: 3 },
    analyze_performance: { hours: 48 },
    find_trace_gaps: { trace_id: trace },
    get_trace: { trace_id: trace, max_spans: 2 },
    list_operations: { hours: 48 },
    health: {},
    query_traces: {
      query: 'SELECT *, $1::bigint AS asked FROM trace_waterfall WHERE execution_id = $1',
      execution_id: executionId,
    },
  };
  for (const [name, args] of Object.entries(good)) {
    const answer = await call(name, args);  // Throws where the schema does not hold.
    check(`${name} answers`, !answer.isError && answer.structuredContent, answer);
  }
  check('a timeout by its job', (await call('find_timeout_root_cause', {
    job_id: diagnosis.structuredContent.execution.job_id,
  })).structuredContent.causes.length > 0);
  check('the root cause comes first',
    diagnosis.content[0].text.startsWith('Root cause: NETWORK_TIMEOUT'), diagnosis.content);

  const bad = [
    ['diagnose_execution', {}, 'execution_id must be'],
    ['diagnose_execution', { execution_id: 'x' }, 'whole number'],
    ['diagnose_execution', { execution_id: 1, nope: 2 }, 'no argument'],
    ['diagnose_execution', { execution_id: 999999999 }, 'no spans'],
    ['find_timeout_root_cause', {}, 'one of them'],
    ['find_timeout_root_cause', { job_id: "x'; DROP TABLE trace_spans; --" }, 'no spans'],
    ['compare_with_successful', { execution_id: 999999999 }, 'no spans'],
    ['get_recent_failures', { limit: 1000 }, 'from 1 to 50'],
    ['find_trace_gaps', { trace_id: 'zz' }, 'UUID'],
    ['find_trace_gaps', { trace_id: '0'.repeat(32) }, 'no spans'],
    ['get_trace', { execution_id: 1, trace_id: trace }, 'one of them'],
  ];
  for (const [name, args, says] of bad) {
    const answer = await call(name, args);
    check(`${name} ${JSON.stringify(args)} is told off`,
      answer.isError && answer.content[0].text.includes(says), answer);
  }
  await client.callTool({ name: 'nope', arguments: {} }).then(
    (answer) => check('an unknown tool is an error', false, answer),
    (error) => check('an unknown tool is an error', error.code === -32602, error));

  const refused = {
    'INSERT INTO trace_spans DEFAULT VALUES': 'refused',
    'DELETE FROM trace_spans': 'refused',
    'SELECT 1; SELECT 2': 'refused',
    'SELECT 1) AS q (c0); DROP TABLE trace_spans; --': 'refused',
    'SELECT 1) AS q UNION ALL SELECT (2': 'refused',
    'WITH gone AS (DELETE FROM trace_spans RETURNING 1) SELECT * FROM gone': 'refused',
    'SELECT 1 INTO copied': 'refused',
    'CREATE TABLE mine (a integer)': 'refused',
    'COPY trace_spans TO PROGRAM \'true\'': 'refused',
    'DO $$ BEGIN PERFORM 1; END $$': 'refused',
    'SET ROLE spanring': 'refused',
    "SELECT set_config('role', 'spanring', true)": 'refused',
    "SELECT set_config('session_authorization', 'spanring', false)": 'refused',
    "SELECT set_config('transaction_read_only', 'off', true)": 'refused',
    "SELECT pg_read_file('/etc/passwd')": 'refused',
    "SELECT pg_ls_dir('/')": 'refused',
    "SELECT lo_import('/etc/passwd')": 'refused',
    'SELECT * FROM pg_authid': 'refused',
    "SELECT trace_retain('0')": 'refused',
    'SELECT pg_reload_conf()': 'refused',
    'SELECT nonsense FROM trace_waterfall': 'refused',
    '': 'refused',
  };
  for (const [query, says] of Object.entries(refused)) {
    const answer = await call('query_traces', { query });
    check(`refused: ${query}`, answer.isError && answer.content[0].text.includes(says), answer);
  }
  const started = Date.now();
  const slept = await call('query_traces', {
    query: "SELECT set_config('statement_timeout', '0', false), pg_sleep(2)::text" +
      ' FROM generate_series(1, 100)',
  });
  const seconds = (Date.now() - started) / 1000;
  check(`sleeping ends after 10 s (${seconds} s)`,
    slept.isError && seconds < 12 && slept.content[0].text.includes('longer than 10 s'), slept);
  const many = (await call('query_traces', { query: 'SELECT generate_series(1, 100000) AS n' }))
    .structuredContent;
  check('200 rows', many.row_count === 200 && many.truncated, many);
  const large = await call('query_traces', {
    query: "SELECT repeat('x', 1000000), i FROM generate_series(1, 1000) AS i",
  });
  check('64 KiB', JSON.stringify(large).length < 120000 && large.structuredContent.truncated,
    JSON.stringify(large).length);
  const twice = (await call('query_traces', { query: 'SELECT 1 AS a, 2 AS a -- end' })).structuredContent;
  check('two columns of one name, a comment at the end',
    JSON.stringify(twice.rows) === '[[1,2]]', twice);

  const schema = JSON.parse((await client.readResource({ uri: 'spanring://schema' })).contents[0].text);
  check('the schema has comments', schema.relations.length > 5 && schema.functions.length > 10 &&
    schema.relations.every((relation) => relation.comment), schema.relations);
  for (const uri of [`spanring://execution/${executionId}`, `spanring://trace/${trace}`]) {
    const read = JSON.parse((await client.readResource({ uri })).contents[0].text);
    check(`${uri} is read`, read.spans_total > 0, read);
  }
  await client.readResource({ uri: 'spanring://trace/../../etc/passwd' }).then(
    (answer) => check('an unknown resource is an error', false, answer),
    (error) => check('an unknown resource is an error', error.code === (isNew ? -32602 : -32002), error));
  check('templates', (await client.listResourceTemplates()).resourceTemplates.length === 2);
  const prompt = await client.getPrompt({
    name: 'why_did_execution_fail', arguments: { execution_id: id },
  });
  check('the prompt', prompt.messages[0].content.text.includes(id), prompt);
}

const spoken = { command: program, args: ['mcp', '-d', database], env: process.env, stderr: 'ignore' };
const pinned = { versionNegotiation: { mode: { pin: '2026-07-28' } } };
for (const [client, transport, isNew] of [
  [new Client({ name: 'check', version: '1' }), new StdioClientTransport(spoken), false],
  [new NewClient({ name: 'check', version: '1' }, pinned), new NewStdio(spoken), true],
]) {
  await client.connect(transport);
  await all(client, `stdio, ${isNew ? 'new' : 'old'}`, isNew);
  await client.close();
}

const server = spawn(program, ['serve', '-d', database, '--port', '0'],
  { stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const [line] = await new Promise((resolve, reject) => {
    server.once('exit', (code) => reject(new Error(`serve ended with ${code}`)));
    server.stdout.once('data', (data) => resolve(String(data).split(' ')));
  });
  const url = new URL('mcp', line);
  for (const [client, transport, isNew] of [
    [new Client({ name: 'check', version: '1' }), new StreamableHTTPClientTransport(url), false],
    [new NewClient({ name: 'check', version: '1' }, pinned), new NewHttp(url), true],
  ]) {
    await client.connect(transport);
    await all(client, `http, ${isNew ? 'new' : 'old'}`, isNew);
    await client.close();
  }
} finally {
  server.kill();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
