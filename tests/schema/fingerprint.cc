#include "schema/fingerprint.h"

namespace spanring::schema {

std::string Fingerprint(const test::TestDatabase& database) {
  return database.Value(
      "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ("
      " SELECT concat_ws(' ', 'column', attrelid::regclass,"
      "   row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname, atttypid::regtype,"
      "   attnotnull, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum),"
      "   nullif(attacl, '{}')) AS line"
      " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
      " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
      " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0"
      "   AND NOT attisdropped"
      "   AND relname !~ '_[0-9]{8}$'"
      " UNION ALL SELECT concat_ws(' ', relkind, relname, relacl, relpersistence,"
      "   obj_description(oid, 'pg_class'), pg_get_partkeydef(oid),"
      "   CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END,"
      "   CASE relkind WHEN 'i' THEN pg_get_indexdef(oid) END)"
      " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ '_[0-9]{8}(_|$)'"
      " UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname,"
      "   pg_get_constraintdef(oid))"
      " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
      "   AND conrelid::regclass::text !~ '_[0-9]{8}$'"
      " UNION ALL SELECT concat_ws(' ', pg_get_functiondef(oid), proacl,"
      "   obj_description(oid, 'pg_proc'))"
      " FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
      ") AS definitions");
}

}  // namespace spanring::schema
