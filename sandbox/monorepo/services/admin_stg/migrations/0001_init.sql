CREATE TABLE switches (
  name VARCHAR(60) NOT NULL PRIMARY KEY,
  title VARCHAR(150) NOT NULL,
  enabled TINYINT(1) NOT NULL DEFAULT 0,
  changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE=InnoDB;

INSERT INTO switches (name, title, enabled) VALUES
  ('registration', 'Neue Mitglieder dürfen sich anmelden', 1),
  ('donations', 'Spendenformular ist offen', 1),
  ('maintenance_banner', 'Hinweis auf Wartung zeigen', 0);
