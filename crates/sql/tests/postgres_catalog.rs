//! What PostgreSQL's clients ask to find out what is there: the queries of psql's \d, \dt, \df, \l and of drivers' metadata, shortened to what matters in them.

mod scratch;

use scratch::{Scratch, check};

const DEFINITIONS: &str = "
CREATE STREAM payments (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, paid DATE) KEY (account) WITH (partitions = 2);
CREATE STREAM loose;
CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM payments GROUP BY account;
CREATE VIEW rich AS SELECT account FROM totals WHERE total > 100;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_defined_is_found_where_postgres_would_have_it() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(DEFINITIONS, &[]).await, "CREATE VIEW");
    check(
        &mut scratch,
        &[
            // psql's \d
            (
                "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' END,
                        pg_catalog.pg_get_userbyid(c.relowner)
                 FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2",
                "public|loose|table|headwater\npublic|payments|table|headwater\npublic|rich|view|headwater\npublic|totals|materialized view|headwater",
            ),
            // DBeaver's lists
            (
                "SELECT n.nspname, n.* FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public' ORDER BY nspname",
                "~public|",
            ),
            (
                "SELECT t.typname, t.* FROM pg_catalog.pg_type t WHERE t.typname = 'int4'",
                "~int4|",
            ),
            ("SELECT * FROM pg_catalog.generate_series(1, 2)", "1\n2"),
            ("SELECT x FROM pg_catalog.unnest(ARRAY[1, 2]) AS u(x)", "1\n2"),
            // psql's \d totals
            (
                "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relname OPERATOR(pg_catalog.~) '^(totals)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid)",
                "public|totals",
            ),
            (
                "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                        (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
                         WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull,
                        (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
                         WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation)
                 FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'payments'::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                "account|text|NULL|true|NULL\namount|numeric(18,2)|NULL|true|NULL\npaid|date|NULL|false|NULL",
            ),
            (
                "SELECT c.relkind, pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', '),
                        CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END
                 FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid) WHERE c.oid = 'public.totals'::regclass",
                "m|NULL|",
            ),
            (
                "SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname
                 from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END
                 FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '16384' ORDER BY 1",
                "",
            ),
            (
                "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
                 UNION SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN
                   (SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s,
                    pg_catalog.pg_attribute WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END)
                 FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid
                   JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = '16384'
                 UNION SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p WHERE p.puballtables ORDER BY 1",
                "",
            ),
            (
                "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhparent AND i.inhrelid = '16384'",
                "",
            ),
            ("SELECT count(*) FROM pg_catalog.pg_policy pol", "0"),
            ("SELECT p.oid = 'nothing'::regproc FROM pg_catalog.pg_proc p", ""),
            // pgjdbc's getTypeInfo, getImportedKeys and getSQLKeywords
            (
                "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type WHERE typname IN ('int4', '_int4') ORDER BY 3",
                "true|b|_int4|1007\nfalse|b|int4|23",
            ),
            (
                "SELECT pka.attname, pos.n FROM pg_catalog.pg_attribute pka, pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n)
                 WHERE pka.attnum = con.confkey[pos.n] AND con.confrelid = pka.attrelid",
                "",
            ),
            ("SELECT word, catcode FROM pg_catalog.pg_get_keywords() WHERE word IN ('select', 'abs') ORDER BY 1", "abs|U\nselect|R"),
            ("SELECT polname FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '16384' ORDER BY 1", ""),
            ("SELECT pg_catalog.pg_get_viewdef('rich'::pg_catalog.regclass::pg_catalog.oid, true)", " SELECT account FROM totals WHERE total > 100;"),
            ("SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c WHERE relname = 'rich'", "rich"),
            // psql's \l, \dn, \du, \dT
            ("SELECT d.datname, pg_catalog.array_to_string(d.datacl, E'\\n') FROM pg_catalog.pg_database d ORDER BY 1", "headwater|NULL"),
            (
                "SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1",
                "_headwater\npublic",
            ),
            (
                "SELECT r.rolname, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid)
                 WHERE m.member = r.oid) FROM pg_catalog.pg_roles r",
                "headwater|NULL",
            ),
            (
                "SELECT n.nspname, pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                 WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND t.typname = 'numeric'",
                "pg_catalog|numeric",
            ),
            // What drivers and tools ask.
            (
                "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
                "loose|BASE TABLE\npayments|BASE TABLE\nrich|VIEW\ntotals|VIEW",
            ),
            (
                "SELECT column_name, data_type, is_nullable, numeric_precision, numeric_scale FROM information_schema.columns
                 WHERE table_name = 'totals' ORDER BY ordinal_position",
                "account|text|NO|NULL|NULL\ntotal|numeric|YES|28|2",
            ),
            ("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'm'", "totals"),
            ("SELECT relname FROM pg_catalog.pg_class WHERE relnamespace::regnamespace::text = '_headwater' ORDER BY 1", "catalog\nparked\nschedules\nschemas"),
            ("SELECT current_user, session_user, current_database(), current_schema, current_schema()", "test|test|headwater|public|public"),
            ("SELECT version()", "~PostgreSQL 17"),
            ("SELECT current_setting('server_version_num'), pg_catalog.set_config('search_path', 'x', false)", "170000|x"),
            // What it does not have.
            ("SELECT * FROM pg_catalog.pg_nothing", "~42P01"),
            ("CREATE VIEW mine AS SELECT relname FROM pg_catalog.pg_class", "~42P01"),
        ],
    )
    .await;
    scratch.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_writes_and_the_engine_does_not_know() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(DEFINITIONS, &[]).await, "CREATE VIEW");
    check(
        &mut scratch,
        &[
            (
                "INSERT INTO payments VALUES ('ann', 150, NULL), ('bob', 50, NULL)",
                "INSERT 0 2",
            ),
            ("TABLE rich", "ann"),
            (
                "SELECT account FROM totals ORDER BY account FETCH FIRST 1 ROW ONLY",
                "ann",
            ),
            (
                "SELECT account FROM totals ORDER BY account OFFSET 1 FETCH NEXT 5 ROWS ONLY",
                "bob",
            ),
            (
                "SELECT account FROM totals LIMIT 1 FETCH FIRST ROW ONLY",
                "~say the same thing twice",
            ),
            ("SELECT account FROM totals FETCH FIRST 1 ROW WITH TIES", "~42601"),
            ("SELECT '{\"a\": {\"b\": 2}}'::json->'a'->>'b'", "2"),
            ("SELECT ARRAY(SELECT account FROM rich)", "[ann]"),
            ("SELECT 'x' COLLATE \"C\"", "x"),
            // A subquery of a user's own that has several rows stays an error.
            ("SELECT (SELECT account FROM totals)", "~21000"),
            // A column may be called user.
            ("SELECT user FROM (VALUES ('u')) AS t(user)", "u"),
        ],
    )
    .await;
    scratch.close();
}

/// What SQLAlchemy's inspector and Django's `inspectdb` ask beyond that: the constraints and indexes that there are none of, by lists that are all NULL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reflects_a_schema_finds_no_constraints_and_no_indexes() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut scratch = Scratch::open(folder.path());
    assert_eq!(scratch.run(DEFINITIONS, &[]).await, "CREATE VIEW");
    check(
        &mut scratch,
        &[
            (
                "SELECT nspname FROM pg_catalog.pg_namespace WHERE (nspname NOT LIKE 'pg/_' || '%' ESCAPE '/') ORDER BY nspname",
                "_headwater\ninformation_schema\npublic",
            ),
            (
                "SELECT 'a_b' LIKE 'a!_b' ESCAPE '!', 'axb' LIKE 'a!_b' ESCAPE '!', 'a!b' LIKE 'a!!b' ESCAPE '!', 'A%' ILIKE 'a#%' ESCAPE '#', 'a\\b' LIKE 'a\\b' ESCAPE ''",
                "true|false|true|true|true",
            ),
            ("SELECT 'a' LIKE 'a' ESCAPE '//'", "~22025"),
            (
                "SELECT attr.conrelid, array_agg(CAST(attr.attname AS TEXT) ORDER BY attr.ord) AS cols, attr.conname, min(attr.description) AS description,
                        min(attr.indnkeyatts) AS indnkeyatts, bool_and(attr.indnullsnotdistinct) AS indnullsnotdistinct
                 FROM (SELECT con.conrelid AS conrelid, con.conname AS conname, con.description AS description, con.ord AS ord,
                              con.indnkeyatts AS indnkeyatts, con.indnullsnotdistinct AS indnullsnotdistinct, pg_catalog.pg_attribute.attname AS attname
                       FROM pg_catalog.pg_attribute JOIN (
                         SELECT pg_catalog.pg_constraint.conrelid AS conrelid, pg_catalog.pg_constraint.conname AS conname,
                                unnest(pg_catalog.pg_index.indkey) AS attnum, generate_subscripts(pg_catalog.pg_index.indkey, 1) AS ord,
                                pg_catalog.pg_index.indnkeyatts AS indnkeyatts, pg_catalog.pg_index.indnullsnotdistinct AS indnullsnotdistinct,
                                pg_catalog.pg_description.description AS description
                         FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_index ON pg_catalog.pg_constraint.conindid = pg_catalog.pg_index.indexrelid
                         LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid
                         WHERE pg_catalog.pg_constraint.contype = 'p' AND pg_catalog.pg_constraint.conrelid IN (1, 2)) AS con
                       ON pg_catalog.pg_attribute.attnum = con.attnum AND pg_catalog.pg_attribute.attrelid = con.conrelid
                       WHERE con.conrelid IN (1, 2)) AS attr
                 GROUP BY attr.conrelid, attr.conname ORDER BY attr.conrelid, attr.conname",
                "",
            ),
            ("SELECT oid, opcname FROM pg_catalog.pg_opclass WHERE NOT opcdefault", ""),
            (
                "SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx)
                          JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype
                 FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = 'payments' AND pg_catalog.pg_table_is_visible(cl.oid)",
                "",
            ),
            (
                "SELECT indexname, array_agg(attname ORDER BY arridx), indisunique, array_agg(ordering ORDER BY arridx), amname
                 FROM (SELECT c2.relname AS indexname, idx.*, attr.attname, am.amname,
                              CASE am.amname WHEN 'btree' THEN CASE (option & 1) WHEN 1 THEN 'DESC' ELSE 'ASC' END END AS ordering
                       FROM (SELECT * FROM pg_index i, unnest(i.indkey, i.indoption) WITH ORDINALITY koi(key, option, arridx)) idx
                       LEFT JOIN pg_class c ON idx.indrelid = c.oid LEFT JOIN pg_class c2 ON idx.indexrelid = c2.oid
                       LEFT JOIN pg_am am ON c2.relam = am.oid LEFT JOIN pg_attribute attr ON attr.attrelid = c.oid AND attr.attnum = idx.key
                       WHERE c.relname = 'payments' AND pg_catalog.pg_table_is_visible(c.oid)) s2
                 GROUP BY indexname, indisunique, amname",
                "",
            ),
            ("SELECT pg_catalog.pg_advisory_unlock_all()", ""),
            // JDBC's getPrimaryKeys, getSchemas, getUDTs, getImportedKeys
            (
                "SELECT result.TABLE_NAME, result.KEY_SEQ FROM (
                   SELECT ct.relname AS TABLE_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ,
                          information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
                   FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
                   JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
                   WHERE ct.relname = 'payments' AND i.indisprimary) result
                 WHERE result.A_ATTNUM = (result.KEYS).x ORDER BY result.TABLE_NAME, result.KEY_SEQ",
                "",
            ),
            (
                "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast'
                 AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1]) ORDER BY nspname",
                "_headwater\ninformation_schema\npg_catalog\npublic",
            ),
            (
                "SELECT t.typname, CASE WHEN t.typtype = 'd' THEN (SELECT CASE WHEN oid = 23 THEN 4 ELSE 1 END FROM pg_type WHERE oid = t.typbasetype) END
                 FROM pg_catalog.pg_type t WHERE t.typname = 'int4'",
                "int4|NULL",
            ),
            (
                "SELECT s.r, (current_schemas(false))[s.r] FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r)",
                "1|public",
            ),
            ("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_index_keys'", "32"),
            // Drivers that make values of a type look up what it is made of, down to its last part.
            (
                "WITH RECURSIVE parts(oid, name, kind, base, element, members, member_names, depth) AS (
                   SELECT i.oid, i.name, i.kind, i.base, i.element, i.members, i.member_names, 0 FROM (
                     SELECT t.oid AS oid, t.typname AS name, t.typtype AS kind, t.typelem AS element,
                            (CASE WHEN t.typtype = 'd' THEN
                               (WITH RECURSIVE bases(oid, depth) AS (
                                  SELECT o.typbasetype AS oid, 0 AS depth FROM pg_type o WHERE o.oid = t.oid
                                  UNION ALL
                                  SELECT o.typbasetype AS oid, b.depth + 1 AS depth FROM pg_type o, bases b WHERE b.oid = o.oid AND o.typbasetype != 0)
                                SELECT oid FROM bases ORDER BY depth DESC LIMIT 1) ELSE NULL END) AS base,
                            (CASE WHEN t.typtype = 'c' THEN (SELECT array_agg(a.atttypid ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid)
                             ELSE NULL END) AS members,
                            (CASE WHEN t.typtype = 'c' THEN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid)
                             ELSE NULL END) AS member_names
                     FROM pg_catalog.pg_type AS t LEFT JOIN pg_range r ON (t.oid = r.rngtypid)) AS i
                   WHERE i.oid = any('{1231}'::oid[])
                   UNION ALL
                   SELECT i.oid, i.name, i.kind, i.base, i.element, i.members, i.member_names, p.depth + 1 FROM (
                     SELECT t.oid AS oid, t.typname AS name, t.typtype AS kind, t.typelem AS element,
                            (CASE WHEN t.typtype = 'd' THEN (SELECT o.typbasetype FROM pg_type o WHERE o.oid = t.oid) ELSE NULL END) AS base,
                            (CASE WHEN t.typtype = 'c' THEN (SELECT array_agg(a.atttypid) FROM pg_attribute a WHERE a.attrelid = t.typrelid) ELSE NULL END) AS members,
                            (CASE WHEN t.typtype = 'c' THEN (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = t.typrelid) ELSE NULL END) AS member_names
                     FROM pg_catalog.pg_type AS t) AS i, parts p
                   WHERE (p.element IS NOT NULL AND i.oid = p.element) OR (p.members IS NOT NULL AND i.oid = any(p.members))
                      OR (p.base IS NOT NULL AND i.oid = p.base))
                 SELECT DISTINCT *, element::regtype::text AS element_name, base::regtype::text AS base_name FROM parts ORDER BY depth DESC",
                "1700|numeric|b|NULL|0|NULL|NULL|1|???|NULL\n1231|_numeric|b|NULL|1700|NULL|NULL|0|numeric|NULL",
            ),
        ],
    )
    .await;
    scratch.close();
}
