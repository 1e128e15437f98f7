-- What to do about a cause, where no error pattern has advice of its own.
CREATE OR REPLACE FUNCTION trace_advice(
    p_type text, p_service text, p_operation text, p_parent_service text, p_execution_id bigint
)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN CASE
        WHEN p_type = 'NETWORK_TIMEOUT' THEN
            'check the network, proxies and queues on the way ' || p_service || ', and their '
            'idle timeouts: the time passed between the two, ' || CASE
                WHEN p_parent_service IS NULL THEN 'in neither of them'
                ELSE 'or in ' || p_parent_service || '''s own work that no span covers'
            END
        WHEN p_type = 'CONNECTION_FAILURE' AND p_service LIKE '% -> %' THEN
            'check the network and proxies on the way ' || p_service || ', their limits and idle '
            'timeouts: the call was completed, and its answer did not arrive'
        WHEN p_type = 'CONNECTION_FAILURE' THEN
            'check that ' || coalesce(
                p_parent_service || ', which ' || trace_label(p_service, p_operation)
                    || ' connects to,',
                'what ' || trace_label(p_service, p_operation) || ' connects to')
            || ' is up and reachable: address, port, DNS, firewall, connection limits'
        WHEN p_type = 'PROCESS_CRASH' THEN
            'find out what killed the process of ' || p_service || ' at that time: the '
            'kernel''s out-of-memory log, its exit code or signal, its last log lines, '
            'deployment events'
        WHEN p_type = 'PROCESS_EXIT' THEN
            'find out why the process of ' || p_service || ' ended at that time: deployment or '
            'scaling events, a signal, an early return; and that it waits for '
            || trace_label(p_service, p_operation)
        WHEN p_type = 'SERVICE_TIMEOUT' THEN
            'check load and logs of ' || p_service || ' at that time, and whether the deadline '
            'of ' || trace_label(p_service, p_operation) || ' is long enough'
        WHEN p_type = 'MODAL_EXECUTION_FAILURE' THEN
            'check the logs of the Modal function behind ' || trace_label(p_service, p_operation)
            || ': exceptions, memory, GPU availability, cold starts'
        WHEN p_type = 'PERFORMANCE_DEGRADATION' THEN
            'profile ' || trace_label(p_service, p_operation) || coalesce(
                ' and compare with find_similar_traces(' || p_execution_id || ')', '')
        WHEN p_type = 'SLOW_DEPENDENCY' THEN
            'find out what ' || trace_label(p_service, p_operation) || ' did at that time: load, '
            'size of its input, what it waits for that is not traced; or allow for it in its '
            'caller''s deadline'
        WHEN p_type = 'RETRY_STORM' THEN
            'bound the retries of ' || trace_label(p_service, p_operation) || ' and space them '
            'out; where all calls are wanted, make one of many'
        WHEN p_type = 'SPANS_DROPPED' THEN
            'see where spans are lost (spanring health), give the writers more room there, '
            'then look at the next execution that fails so'
        WHEN p_type = 'TRACE_NOT_SAMPLED' THEN
            'raise SPANRING_SAMPLE_RATIO where traces begin, then look at the next execution that '
            'fails so'
        WHEN p_service IS NULL THEN
            'check the id, that its program traces (ENABLE_DB_TRACING), that its trace was sampled '
            '(SPANRING_SAMPLE_RATIO), and that its spans arrive: spanring doctor'
        ELSE
            'read the logs of ' || p_service || ' at that time: the error is of no known kind'
    END;
END
$$;

COMMENT ON FUNCTION trace_advice(text, text, text, text, bigint) IS
    'What to do about a root cause at a service and operation, as a sentence.';

REVOKE ALL ON FUNCTION trace_advice(text, text, text, text, bigint) FROM PUBLIC;
