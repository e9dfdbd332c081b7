CREATE TABLE polls (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  question VARCHAR(200) NOT NULL,
  closes_at DATETIME NULL
) ENGINE=InnoDB;

CREATE TABLE choices (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  poll_id INT UNSIGNED NOT NULL,
  text VARCHAR(200) NOT NULL,
  FOREIGN KEY (poll_id) REFERENCES polls (id)
) ENGINE=InnoDB;

CREATE TABLE ballots (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  poll_id INT UNSIGNED NOT NULL,
  choice_id INT UNSIGNED NOT NULL,
  voter BINARY(32) NOT NULL,
  cast_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE KEY one_ballot (poll_id, voter),
  FOREIGN KEY (choice_id) REFERENCES choices (id)
) ENGINE=InnoDB;

INSERT INTO polls (id, question) VALUES (1, 'Welches Thema soll 2027 im Mittelpunkt stehen?');
INSERT INTO choices (poll_id, text) VALUES (1, 'Demokratiebildung'), (1, 'Soziale Beratung'), (1, 'Klimagerechtigkeit');
