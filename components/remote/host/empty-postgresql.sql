DO $mo$
DECLARE statement text;
BEGIN
  -- All are named before the first one goes: CASCADE takes others along, which have no name then. What is an extension's (e) goes with that alone,
  -- as a range's functions (i) go with the range.
  FOREACH statement IN ARRAY coalesce((
    SELECT array_agg(format('DROP %s IF EXISTS %s CASCADE', coalesce(o.kind, i.type), i.identity) ORDER BY o.turn, o.oid)
    FROM (
      SELECT 1 AS turn, 'pg_class'::regclass AS class, oid, relnamespace AS schema, NULL AS kind FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
      UNION ALL SELECT 2, 'pg_class', oid, relnamespace, NULL FROM pg_class WHERE relkind = 'S'
      UNION ALL SELECT 3, 'pg_proc', oid, pronamespace, 'ROUTINE' FROM pg_proc
      UNION ALL SELECT 4, 'pg_type', oid, typnamespace, 'TYPE' FROM pg_type
        WHERE typtype IN ('e', 'd', 'r') OR typtype = 'c' AND typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c')
      UNION ALL SELECT 5, 'pg_operator', oid, oprnamespace, NULL FROM pg_operator
      UNION ALL SELECT 5, 'pg_collation', oid, collnamespace, NULL FROM pg_collation
      UNION ALL SELECT 5, 'pg_conversion', oid, connamespace, NULL FROM pg_conversion
      UNION ALL SELECT 5, 'pg_ts_config', oid, cfgnamespace, NULL FROM pg_ts_config
      UNION ALL SELECT 6, 'pg_ts_dict', oid, dictnamespace, NULL FROM pg_ts_dict
    ) o JOIN pg_namespace n ON n.oid = o.schema, pg_identify_object(o.class, o.oid, 0) i
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND (d.deptype = 'e' OR d.deptype = 'i' AND o.turn = 3))
  ), '{}') LOOP
    EXECUTE statement;
  END LOOP;
  -- Those of no schema, and the schemas: our own.
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata WHERE pg_get_userbyid(lomowner) = current_user;
  FOREACH statement IN ARRAY coalesce((
    SELECT array_agg(format('DROP PUBLICATION IF EXISTS %I CASCADE', pubname)) FROM pg_publication WHERE pg_get_userbyid(pubowner) = current_user
  ), '{}') LOOP
    EXECUTE statement;
  END LOOP;
  FOREACH statement IN ARRAY coalesce((
    SELECT array_agg(format('DROP SCHEMA IF EXISTS %I CASCADE', nspname)) FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'public') AND pg_get_userbyid(nspowner) = current_user
  ), '{}') LOOP
    EXECUTE statement;
  END LOOP;
END
$mo$;
