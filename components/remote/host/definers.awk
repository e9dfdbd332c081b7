# Takes the definers out of a MariaDB dump: what it holds becomes its loader's, who may name nobody else without SUPER (error 1227). Only where
# the dump itself writes them: in the line after a view's CREATE, and in the first CREATE after a DELIMITER. Never in data, bodies, texts.
# Lines of data are most of it, and not every awk is quick to look through long ones.
substr($0, 1, 1) == "(" || substr($0, 1, 7) == "INSERT " { print; next }
{
  if ($0 == "DELIMITER ;;") head = 1
  else if (head && /^(CREATE |\/\*![0-9]+ CREATE\*\/ )/) {
    sub(/^CREATE (OR REPLACE )?DEFINER=(`([^`]|``)*`|"([^"]|"")*")(@(`([^`]|``)*`|"([^"]|"")*"))? /, "CREATE ")
    sub(/^\/\*![0-9]+ CREATE\*\/ \/\*![0-9]+ DEFINER=`([^`]|``)*`(@`([^`]|``)*`)?\*\/ /, "/*!50003 CREATE*/ ")
    head = 0
  } else if (view && /^\/\*![0-9]+ DEFINER=/) sub(/DEFINER=`([^`]|``)*`(@`([^`]|``)*`)? /, "")
  view = /^\/\*![0-9]+ CREATE ALGORITHM=/
  print
}
