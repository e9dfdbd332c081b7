CREATE TABLE purposes (
  id VARCHAR(30) NOT NULL PRIMARY KEY,
  title VARCHAR(100) NOT NULL,
  required TINYINT(1) NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1
) ENGINE=InnoDB;

-- One row for each decision, never changed afterwards: the proof that GDPR article 7 asks for.
CREATE TABLE decisions (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  receipt CHAR(32) NOT NULL,
  purpose VARCHAR(30) NOT NULL,
  granted TINYINT(1) NOT NULL,
  policy VARCHAR(20) NOT NULL,
  decided_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY by_receipt (receipt),
  FOREIGN KEY (purpose) REFERENCES purposes (id)
) ENGINE=InnoDB;

INSERT INTO purposes (id, title, required) VALUES
  ('necessary', 'Notwendig: Anmeldung und Sicherheit', 1),
  ('statistics', 'Statistik: anonyme Zählung der Besuche', 0),
  ('newsletter', 'Newsletter: Zusendung von Neuigkeiten', 0);
