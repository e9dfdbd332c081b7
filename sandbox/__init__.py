"""A loopback host that stands for the real one: sshd, Apache or nginx, PHP-FPM, two MariaDBs, PostgreSQL, mail, a panel, a GitHub stand-in.

All of it lives in one folder and is started, checked and removed by ``python -m sandbox``. Nothing of the product imports it.
"""
