# Makes of a MariaDB script a stream for the client program that records after each statement how far it came, so that a killed run goes on
# where it stopped. done: statements that are applied; only: print this one alone; version: quoted name. Exit code 3: a script that cannot be
# cut so (its own transactions, locks, prepared statements, temporary tables), with nothing printed.
function emit(s,    word, mark, last) {
  gsub(/^[ \t\r\n]+/, "", s); gsub(/[ \t\r\n]+$/, "", s)
  if (s == "") return
  word = s
  while (word ~ /^\/\*[^!]/) { sub(/^\/\*[^*]*\*+([^\/*][^*]*\*+)*\/[ \t\r\n]*/, "", word); if (word == last) break; last = word }
  if (word == "") return
  sub(/[^A-Za-z\\].*$/, "", word)
  word = toupper(word)
  if (word ~ /^(START|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|LOCK|UNLOCK|PREPARE|EXECUTE|DEALLOCATE|SOURCE|HANDLER|XA|\\.*)$/ || toupper(s) ~ /^CREATE[ \t\r\n]+(OR[ \t\r\n]+REPLACE[ \t\r\n]+)?TEMPORARY/) { bad = 1; return }
  if (word == "SET" || word == "USE") { out = out "DELIMITER $mo$\n" s "\n$mo$\nDELIMITER ;\n"; return }
  n++
  if (n <= done || (only && n != only)) return
  mark = "UPDATE _mo_progress SET done=" n " WHERE version='" version "';\n"
  if (word ~ /^(INSERT|UPDATE|DELETE|REPLACE)$/) out = out "START TRANSACTION;\nDELIMITER $mo$\n" s "\n$mo$\nDELIMITER ;\n" mark "COMMIT;\n"
  else out = out "DELIMITER $mo$\n" s "\n$mo$\nDELIMITER ;\n" mark
}
BEGIN { delimiter = ";"; quote = ""; text = "" }
{
  line = $0
  if (quote == "" && text ~ /^[ \t\r\n]*$/ && toupper(line) ~ /^[ \t]*DELIMITER[ \t]/) {
    sub(/^[ \t]*[A-Za-z]+[ \t]+/, "", line); sub(/[ \t\r]+$/, "", line)
    delimiter = line
    next
  }
  length_of = length(line)
  for (i = 1; i <= length_of; i++) {
    c = substr(line, i, 1)
    if (quote == "*") {
      if (c == "*" && substr(line, i + 1, 1) == "/") { text = text "*/"; i++; quote = "" } else text = text c
    } else if (quote != "") {
      text = text c
      if (c == "\\" && quote != "`") { i++; text = text substr(line, i, 1) } else if (c == quote) quote = ""
    } else if (substr(line, i, length(delimiter)) == delimiter) {
      emit(text); text = ""; i += length(delimiter) - 1
    } else if (c == "#" || (c == "-" && substr(line, i, 3) ~ /^--[ \t]?$/)) {
      break
    } else if (c == "/" && substr(line, i + 1, 1) == "*") {
      quote = "*"; text = text "/*"; i++
    } else {
      if (c == "'" || c == "\"" || c == "`") quote = c
      text = text c
    }
  }
  text = text "\n"
}
END {
  if (quote != "") bad = 1
  emit(text)
  if (bad) exit 3
  printf "%s", out
}
