CREATE TABLE topics (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title VARCHAR(150) NOT NULL,
  opened_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB;

CREATE TABLE posts (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  topic_id INT UNSIGNED NOT NULL,
  author VARCHAR(100) NOT NULL,
  text TEXT NOT NULL,
  written_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (topic_id) REFERENCES topics (id)
) ENGINE=InnoDB;

INSERT INTO topics (id, title) VALUES (1, 'Willkommen'), (2, 'Ideen für 2027');
INSERT INTO posts (topic_id, author, text) VALUES (1, 'Redaktion', 'Schön, dass Sie da sind. Bitte bleiben Sie freundlich.');
