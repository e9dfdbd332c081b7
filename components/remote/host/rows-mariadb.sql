SET SESSION group_concat_max_len = 4000000;
SELECT GROUP_CONCAT(CONCAT('SELECT ', QUOTE(table_name), ', COUNT(*) FROM `', REPLACE(table_name, '`', '``'), '`') ORDER BY table_name SEPARATOR ' UNION ALL ')
  FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE';
