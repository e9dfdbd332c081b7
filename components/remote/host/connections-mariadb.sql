SELECT COUNT(*), COALESCE(SUM(command <> 'Sleep' OR time < 2), 0) FROM information_schema.processlist
  WHERE id <> CONNECTION_ID() AND user = SUBSTRING_INDEX(USER(), '@', 1);
