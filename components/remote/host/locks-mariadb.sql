SET SESSION group_concat_max_len = 4000000;
SELECT GROUP_CONCAT(CONCAT('`', REPLACE(table_name, '`', '``'), '` WRITE') ORDER BY table_name SEPARATOR ', ')
  FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE';
