-- What the status responder may read. As imza_ca in the database imza_ca, after `imza ca init`, and
-- again after each update of imza: psql -U imza_ca -d imza_ca -f status-views.sql
-- Before an update take the views away, so that tables can change: DROP SCHEMA status CASCADE;
--
-- A responder needs no name, no number and no certificate of anybody. Its views have the names of
-- the tables and stand in a schema of their own, in which alone the role imza_ocsp looks.

BEGIN;

DROP SCHEMA IF EXISTS status CASCADE;
CREATE SCHEMA status;

CREATE VIEW status.certificates AS
    SELECT id, issuer_name, serial_number, state, profile, not_before, not_after, changed,
           revoked_at, reason, invalidity_date,
           -- Of responders alone.
           CASE WHEN profile = 'ocsp-responder' THEN key_label END AS key_label,
           CASE WHEN profile = 'ocsp-responder' THEN certificate_der END AS certificate_der
    FROM public.certificates;

CREATE VIEW status.issuers AS
    SELECT name, certificate_der FROM public.issuers;

CREATE VIEW status.registry_lock AS
    SELECT id, locked_at FROM public.registry_lock;

-- The end of the audit log tells what changed since; its hashes tell a log that was restored.
CREATE VIEW status.audit_head AS
    SELECT id, number, hash FROM public.audit_head;

CREATE VIEW status.audit_entries AS
    SELECT number, hash FROM public.audit_entries;

CREATE VIEW status.alembic_version AS
    SELECT version_num FROM public.alembic_version;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA status TO imza_ocsp;
GRANT SELECT ON ALL TABLES IN SCHEMA status TO imza_ocsp;

COMMIT;
