CREATE TABLE mo_donation_goals (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title VARCHAR(100) NOT NULL,
  target DECIMAL(20, 2) NOT NULL
) ENGINE=InnoDB;
INSERT INTO mo_donation_goals (title, target) VALUES ('Beratung 2027', 20000.00);
