//! The columns of each catalog table, as PostgreSQL 17 has them; the kinds of columns are explained at `columns`.

/// The tables that have rows: schema, name and columns.
pub(super) const TABLES: [(&str, &str, &str); 20] = [
    (
        "pg_catalog",
        "pg_class",
        "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o reltablespace:o relpages:i reltuples:f relallvisible:i \
         reltoastrelid:o relhasindex:b relisshared:b relpersistence:t relkind:t relnatts:i relchecks:i relhasrules:b relhastriggers:b relhassubclass:b \
         relrowsecurity:b relforcerowsecurity:b relispopulated:b relreplident:t relispartition:b relrewrite:o relfrozenxid:i relminmxid:i relacl:l \
         reloptions:l relpartbound:t",
    ),
    (
        "pg_catalog",
        "pg_attribute",
        "attrelid:o attname:t atttypid:o attlen:i attnum:i attcacheoff:i atttypmod:i attndims:i attbyval:b attalign:t attstorage:t attcompression:t \
         attnotnull:b atthasdef:b atthasmissing:b attidentity:t attgenerated:t attisdropped:b attislocal:b attinhcount:i attcollation:o attstattarget:n \
         attacl:l attoptions:l attfdwoptions:l attmissingval:l",
    ),
    (
        "pg_catalog",
        "pg_type",
        "oid:o typname:t typnamespace:o typowner:o typlen:i typbyval:b typtype:t typcategory:t typispreferred:b typisdefined:b typdelim:t typrelid:o \
         typsubscript:t typelem:o typarray:o typinput:t typoutput:t typreceive:t typsend:t typmodin:t typmodout:t typanalyze:t typalign:t typstorage:t \
         typnotnull:b typbasetype:o typtypmod:i typndims:i typcollation:o typdefaultbin:t typdefault:t typacl:l",
    ),
    ("pg_catalog", "pg_namespace", "oid:o nspname:t nspowner:o nspacl:l"),
    (
        "pg_catalog",
        "pg_database",
        "oid:o datname:t datdba:o encoding:i datlocprovider:t datistemplate:b datallowconn:b dathasloginevt:b datconnlimit:i datfrozenxid:i datminmxid:i \
         dattablespace:o datcollate:t datctype:t datlocale:t daticulocale:t daticurules:t datcollversion:t datacl:l",
    ),
    (
        "pg_catalog",
        "pg_roles",
        "oid:o rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b rolconnlimit:i rolpassword:t rolvaliduntil:t \
         rolbypassrls:b rolconfig:l",
    ),
    (
        "pg_catalog",
        "pg_user",
        "usename:t usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:t useconfig:l",
    ),
    (
        "pg_catalog",
        "pg_proc",
        "oid:o proname:t pronamespace:o proowner:o prolang:o procost:f prorows:f provariadic:o prosupport:t prokind:t prosecdef:b proleakproof:b \
         proisstrict:b proretset:b provolatile:t proparallel:t pronargs:i pronargdefaults:i prorettype:o proargtypes:t proallargtypes:l proargmodes:l \
         proargnames:l proargdefaults:t protrftypes:l prosrc:t probin:t prosqlbody:t proconfig:l proacl:l",
    ),
    ("pg_catalog", "pg_am", "oid:o amname:t amhandler:t amtype:t"),
    (
        "pg_catalog",
        "pg_settings",
        "name:t setting:t unit:t category:t short_desc:t context:t vartype:t source:t boot_val:t reset_val:t",
    ),
    (
        "pg_catalog",
        "pg_tables",
        "schemaname:t tablename:t tableowner:t tablespace:t hasindexes:b hasrules:b hastriggers:b rowsecurity:b",
    ),
    (
        "pg_catalog",
        "pg_views",
        "schemaname:t viewname:t viewowner:t definition:t",
    ),
    (
        "pg_catalog",
        "pg_matviews",
        "schemaname:t matviewname:t matviewowner:t tablespace:t hasindexes:b ispopulated:b definition:t",
    ),
    (
        "information_schema",
        "tables",
        "table_catalog:t table_schema:t table_name:t table_type:t self_referencing_column_name:t reference_generation:t user_defined_type_catalog:t \
         user_defined_type_schema:t user_defined_type_name:t is_insertable_into:t is_typed:t commit_action:t",
    ),
    (
        "information_schema",
        "columns",
        "table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:i column_default:t is_nullable:t data_type:t \
         character_maximum_length:n character_octet_length:n numeric_precision:n numeric_precision_radix:n numeric_scale:n datetime_precision:n \
         interval_type:t interval_precision:n character_set_name:t collation_name:t domain_catalog:t domain_schema:t domain_name:t udt_catalog:t \
         udt_schema:t udt_name:t dtd_identifier:t is_self_referencing:t is_identity:t identity_generation:t is_generated:t generation_expression:t \
         is_updatable:t",
    ),
    (
        "information_schema",
        "views",
        "table_catalog:t table_schema:t table_name:t view_definition:t check_option:t is_updatable:t is_insertable_into:t",
    ),
    (
        "information_schema",
        "schemata",
        "catalog_name:t schema_name:t schema_owner:t sql_path:t",
    ),
    (
        "information_schema",
        "routines",
        "specific_catalog:t specific_schema:t specific_name:t routine_catalog:t routine_schema:t routine_name:t routine_type:t data_type:t \
         routine_body:t routine_definition:t external_language:t",
    ),
    (
        "pg_catalog",
        super::keywords::KEYWORDS,
        "word:t catcode:t barelabel:b catdesc:t baredesc:t",
    ),
    (
        "pg_catalog",
        "pg_tablespace",
        "oid:o spcname:t spcowner:o spcacl:l spcoptions:l",
    ),
];

/// The tables of what this program does not have: they are always empty.
pub(super) const EMPTY_TABLES: [(&str, &str, &str); 44] = [
    ("pg_catalog", "pg_attrdef", "oid:o adrelid:o adnum:i adbin:t"),
    (
        "pg_catalog",
        "pg_description",
        "objoid:o classoid:o objsubid:i description:t",
    ),
    ("pg_catalog", "pg_shdescription", "objoid:o classoid:o description:t"),
    (
        "pg_catalog",
        "pg_index",
        "indexrelid:o indrelid:o indnatts:i indnkeyatts:i indisunique:b indnullsnotdistinct:b indisprimary:b indisexclusion:b indimmediate:b \
         indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b indkey:l indcollation:l indclass:l indoption:l \
         indexprs:t indpred:t",
    ),
    (
        "pg_catalog",
        "pg_constraint",
        "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o conindid:o conparentid:o \
         confrelid:o confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:i connoinherit:b conkey:m confkey:m conpfeqop:l conppeqop:l \
         conffeqop:l confdelsetcols:l conexclop:l conbin:t",
    ),
    (
        "pg_catalog",
        "pg_inherits",
        "inhrelid:o inhparent:o inhseqno:i inhdetachpending:b",
    ),
    (
        "pg_catalog",
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname:t tgfoid:o tgtype:i tgenabled:t tgisinternal:b tgconstrrelid:o tgconstrindid:o tgconstraint:o \
         tgdeferrable:b tginitdeferred:b tgnargs:i tgqual:t tgoldtable:t tgnewtable:t",
    ),
    (
        "pg_catalog",
        "pg_policy",
        "oid:o polname:t polrelid:o polcmd:t polpermissive:b polroles:l polqual:t polwithcheck:t",
    ),
    (
        "pg_catalog",
        "pg_statistic_ext",
        "oid:o stxrelid:o stxname:t stxnamespace:o stxowner:o stxstattarget:n stxkeys:l stxkind:l stxexprs:t",
    ),
    (
        "pg_catalog",
        "pg_publication",
        "oid:o pubname:t pubowner:o puballtables:b pubinsert:b pubupdate:b pubdelete:b pubtruncate:b pubviaroot:b",
    ),
    (
        "pg_catalog",
        "pg_publication_rel",
        "oid:o prpubid:o prrelid:o prqual:t prattrs:l",
    ),
    ("pg_catalog", "pg_publication_namespace", "oid:o pnpubid:o pnnspid:o"),
    (
        "pg_catalog",
        "pg_extension",
        "oid:o extname:t extowner:o extnamespace:o extrelocatable:b extversion:t extconfig:l extcondition:l",
    ),
    (
        "pg_catalog",
        "pg_available_extensions",
        "name:t default_version:t installed_version:t comment:t",
    ),
    (
        "pg_catalog",
        "pg_collation",
        "oid:o collname:t collnamespace:o collowner:o collprovider:t collisdeterministic:b collencoding:i collcollate:t collctype:t colllocale:t \
         colliculocale:t collversion:t",
    ),
    (
        "pg_catalog",
        "pg_auth_members",
        "oid:o roleid:o member:o grantor:o admin_option:b inherit_option:b set_option:b",
    ),
    ("pg_catalog", "pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:t"),
    (
        "pg_catalog",
        "pg_range",
        "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o rngcanonical:t rngsubdiff:t",
    ),
    (
        "pg_catalog",
        "pg_depend",
        "classid:o objid:o objsubid:i refclassid:o refobjid:o refobjsubid:i deptype:t",
    ),
    ("pg_catalog", "pg_foreign_table", "ftrelid:o ftserver:o ftoptions:l"),
    (
        "pg_catalog",
        "pg_foreign_server",
        "oid:o srvname:t srvowner:o srvfdw:o srvtype:t srvversion:t srvacl:l srvoptions:l",
    ),
    (
        "pg_catalog",
        "pg_foreign_data_wrapper",
        "oid:o fdwname:t fdwowner:o fdwhandler:o fdwvalidator:o fdwacl:l fdwoptions:l",
    ),
    (
        "pg_catalog",
        "pg_sequence",
        "seqrelid:o seqtypid:o seqstart:i seqincrement:i seqmax:i seqmin:i seqcache:i seqcycle:b",
    ),
    (
        "pg_catalog",
        "pg_rewrite",
        "oid:o rulename:t ev_class:o ev_type:t ev_enabled:t is_instead:b ev_qual:t ev_action:t",
    ),
    (
        "pg_catalog",
        "pg_operator",
        "oid:o oprname:t oprnamespace:o oprowner:o oprkind:t oprleft:o oprright:o oprresult:o oprcode:t",
    ),
    (
        "pg_catalog",
        "pg_opclass",
        "oid:o opcmethod:o opcname:t opcnamespace:o opcowner:o opcfamily:o opcintype:o opcdefault:b opckeytype:o",
    ),
    ("pg_catalog", "pg_aggregate", "aggfnoid:i aggkind:t aggnumdirectargs:i"),
    (
        "pg_catalog",
        "pg_language",
        "oid:o lanname:t lanowner:o lanispl:b lanpltrusted:b",
    ),
    (
        "pg_catalog",
        "pg_cast",
        "oid:o castsource:o casttarget:o castfunc:o castcontext:t castmethod:t",
    ),
    (
        "pg_catalog",
        "pg_conversion",
        "oid:o conname:t connamespace:o conowner:o conforencoding:i contoencoding:i conproc:t condefault:b",
    ),
    (
        "pg_catalog",
        "pg_event_trigger",
        "oid:o evtname:t evtevent:t evtowner:o evtfoid:o evtenabled:t evttags:l",
    ),
    (
        "pg_catalog",
        "pg_default_acl",
        "oid:o defaclrole:o defaclnamespace:o defaclobjtype:t defaclacl:l",
    ),
    (
        "pg_catalog",
        "pg_db_role_setting",
        "setdatabase:o setrole:o setconfig:l",
    ),
    (
        "pg_catalog",
        "pg_partitioned_table",
        "partrelid:o partstrat:t partnatts:i partdefid:o partattrs:l partclass:l partcollation:l partexprs:t",
    ),
    (
        "pg_catalog",
        "pg_indexes",
        "schemaname:t tablename:t indexname:t tablespace:t indexdef:t",
    ),
    (
        "pg_catalog",
        "pg_sequences",
        "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:n min_value:n max_value:n last_value:n",
    ),
    (
        "pg_catalog",
        "pg_seclabel",
        "objoid:o classoid:o objsubid:i provider:t label:t",
    ),
    (
        "pg_catalog",
        "pg_locks",
        "locktype:t database:n relation:n pid:n mode:t granted:b",
    ),
    (
        "pg_catalog",
        "pg_stat_user_tables",
        "relid:o schemaname:t relname:t seq_scan:i n_live_tup:i n_dead_tup:i",
    ),
    (
        "information_schema",
        "table_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t constraint_type:t is_deferrable:t \
         initially_deferred:t enforced:t",
    ),
    (
        "information_schema",
        "key_column_usage",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:i \
         position_in_unique_constraint:n",
    ),
    (
        "information_schema",
        "referential_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t unique_constraint_catalog:t unique_constraint_schema:t unique_constraint_name:t \
         match_option:t update_rule:t delete_rule:t",
    ),
    (
        "information_schema",
        "constraint_column_usage",
        "table_catalog:t table_schema:t table_name:t column_name:t constraint_catalog:t constraint_schema:t constraint_name:t",
    ),
    (
        "information_schema",
        "sequences",
        "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t",
    ),
];
