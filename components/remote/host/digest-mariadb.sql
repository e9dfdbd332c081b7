SET SESSION group_concat_max_len = 4000000;
SELECT CONCAT(
  COALESCE(CONCAT('CHECKSUM TABLE ', (SELECT GROUP_CONCAT(CONCAT('`', REPLACE(table_name, '`', '``'), '`') ORDER BY table_name SEPARATOR ', ')
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'), ' EXTENDED; '), ''),
  'SELECT ''-'', table_name, ''view'' FROM information_schema.views WHERE table_schema = DATABASE() UNION ALL ',
  'SELECT ''-'', trigger_name, ''trigger'' FROM information_schema.triggers WHERE trigger_schema = DATABASE() UNION ALL ',
  'SELECT ''-'', event_name, ''event'' FROM information_schema.events WHERE event_schema = DATABASE() UNION ALL ',
  'SELECT ''-'', routine_name, ''routine'' FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY 3, 2');
