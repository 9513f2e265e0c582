-- Roles and databases of the zones. Once, as PostgreSQL's superuser: psql -f roles.sql
--
-- Nobody has a password here: zones on the same machine come through the socket as users of the
-- system with the same names (peer), others over TLS with certificates or scram-sha-256; see
-- pg_hba.conf beside this file.

CREATE ROLE imza_ca LOGIN;
CREATE ROLE imza_tsa LOGIN;
CREATE ROLE imza_mobile LOGIN;
CREATE ROLE imza_signing LOGIN;

CREATE DATABASE imza_ca OWNER imza_ca;
CREATE DATABASE imza_tsa OWNER imza_tsa;
CREATE DATABASE imza_mobile OWNER imza_mobile;
CREATE DATABASE imza_signing OWNER imza_signing;

-- Nobody enters another zone's database.
REVOKE ALL ON DATABASE imza_ca, imza_tsa, imza_mobile, imza_signing FROM PUBLIC;

-- The status responder reads what `ca` writes: through views without names, and nothing else.
CREATE ROLE imza_ocsp LOGIN;
GRANT CONNECT ON DATABASE imza_ca TO imza_ocsp;
ALTER ROLE imza_ocsp SET default_transaction_read_only = on;
ALTER ROLE imza_ocsp IN DATABASE imza_ca SET search_path = status;
-- On a standby the responder asks when its primary was heard of last; only these members may see it.
GRANT pg_read_all_stats TO imza_ocsp;

-- Whoever copies the database to a standby.
CREATE ROLE imza_replication LOGIN REPLICATION;
