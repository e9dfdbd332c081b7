SELECT CONCAT('DROP EVENT IF EXISTS `', REPLACE(event_name, '`', '``'), '`;') FROM information_schema.events WHERE event_schema = DATABASE();
SELECT IF(routine_type LIKE 'PACKAGE%', 'SET sql_mode=ORACLE;', ''), CONCAT('DROP ', routine_type, ' IF EXISTS `', REPLACE(routine_name, '`', '``'), '`;'),
  IF(routine_type LIKE 'PACKAGE%', 'SET sql_mode=DEFAULT;', '') FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT CONCAT('DROP VIEW IF EXISTS `', REPLACE(table_name, '`', '``'), '`;') FROM information_schema.views WHERE table_schema = DATABASE();
SELECT CONCAT('DROP TABLE IF EXISTS `', REPLACE(table_name, '`', '``'), '`;') FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'VIEW';
