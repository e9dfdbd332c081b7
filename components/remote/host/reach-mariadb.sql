SET SESSION group_concat_max_len = 4000000;
SELECT GROUP_CONCAT(CONCAT('SELECT 1 FROM `', REPLACE(table_name, '`', '``'), '` LIMIT 0') ORDER BY table_name SEPARATOR '; ')
  FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE';
