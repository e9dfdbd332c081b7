# From a MariaDB dump without definers: the length of its longest statement beside what the server takes, then statements that try whether the
# account may make what the dump holds (tables, views as they are, triggers, routines, events), under names of its own, and take them away again.
{
  length_of += length($0) + 1
  # A text in a row holds no line break: a line that ends so ends its statement (in a routine's body it may not, which is far from long).
  if (substr($0, length($0)) == ";") { if (length_of > longest) longest = length_of; length_of = 0 }
  if (substr($0, 1, 1) == "(" || substr($0, 1, 7) == "INSERT ") next # data
  if (body) { body = 0; if (/^\/\*![0-9]+ VIEW /) { sub(/^\/\*![0-9]+ VIEW `([^`]|``)*`( \(`[^)]*\))? AS /, ""); sub(/ \*\/;?$/, ""); views = views "CREATE OR REPLACE VIEW _mo_load_view AS " $0 ";\n" } }
  else if ($0 == "DELIMITER ;;") head = 1
  else if (head && /^(CREATE |\/\*![0-9]+ CREATE\*\/ )/) {
    head = 0
    if (/ (PROCEDURE|PACKAGE|PACKAGE BODY) [`"]/) procedure = 1
    else if (/ FUNCTION [`"]/) routine = 1
    else if (/\/\*![0-9]+ TRIGGER /) trigger = 1
    else if (/\/\*![0-9]+ EVENT /) event = 1
  } else if (view && /^\/\*![0-9]+ (DEFINER=|SQL SECURITY )/) body = 1
  view = /^\/\*![0-9]+ CREATE ALGORITHM=/
}
END {
  gone = "DROP VIEW IF EXISTS _mo_load_view;\nDROP TABLE IF EXISTS _mo_load;\n"
  if (procedure) gone = gone "DROP PROCEDURE IF EXISTS _mo_load;\n"
  if (routine) gone = gone "DROP FUNCTION IF EXISTS _mo_load;\n"
  if (event) gone = gone "DROP EVENT IF EXISTS _mo_load;\n"
  printf "SELECT @@max_allowed_packet, %d;\nSET lock_wait_timeout = 60;\n%s", longest, gone
  print "CREATE TABLE _mo_load (id int);\nLOCK TABLES _mo_load WRITE;\nALTER TABLE _mo_load DISABLE KEYS;\nINSERT INTO _mo_load VALUES (1);\nUNLOCK TABLES;"
  if (trigger) print "CREATE TRIGGER _mo_load BEFORE INSERT ON _mo_load FOR EACH ROW SET NEW.id = 1;"
  if (procedure) print "CREATE PROCEDURE _mo_load() SELECT 1;"
  if (routine) print "CREATE FUNCTION _mo_load() RETURNS int DETERMINISTIC RETURN 1;"
  if (event) print "CREATE EVENT _mo_load ON SCHEDULE EVERY 1 YEAR DISABLE DO DELETE FROM _mo_load;"
  printf "%s%s", views, gone
}
