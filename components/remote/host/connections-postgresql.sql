SELECT current_user AS own \gset
SET ROLE NONE;
SELECT count(*), count(*) FILTER (WHERE a.state IS DISTINCT FROM 'idle' OR a.state_change > now() - interval '2 seconds')
  FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND (a.usename = :'own' OR a.usesysid IN (
    SELECT m.member FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = :'own' AND NOT m.admin_option));
