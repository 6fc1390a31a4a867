// The tables of the fleet's registry in PostgreSQL, as forward steps: what is released is never edited, only followed by a next step.

/** Of the schema in the database, and of the lock under which it is migrated: 'tsrg'. */
export const REGISTRY_SCHEMA = 'touchstone';
export const REGISTRY_LOCK = 0x74737267;

/**
 * Names are written out in full: nobody can slip in a table or function of his own. Functions are what takes several steps, so
 * that each is one statement, hence one transaction, and one way to the server and back.
 */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `
-- One row a device, with its newest verdict: the compare-and-set of an acceptance asks and changes this row alone. Such a row fits a page.
CREATE TABLE touchstone.device (
  id text COLLATE "C" PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'quarantined', 'retired')),
  label text, profile text NOT NULL, tier text NOT NULL, endorsement text,
  last_seen bigint, online smallint NOT NULL DEFAULT 0, trouble text,
  generation bigint NOT NULL DEFAULT 0, clock text NOT NULL DEFAULT '0', max_reset bigint NOT NULL DEFAULT 0,
  session text, last_seq bigint NOT NULL DEFAULT 0, at bigint, log bytea, slots text NOT NULL DEFAULT '[]',
  verdict text, envelope text, evidence bytea
) WITH (toast_tuple_target = 8160);
CREATE INDEX device_pending ON touchstone.device (state) WHERE state = 'pending';
CREATE TABLE touchstone.enrolment (
  id text COLLATE "C" PRIMARY KEY, request bytea NOT NULL, proven smallint NOT NULL, findings text NOT NULL
);
-- Credentials that no newcomer has opened yet: the answer may come to another controller, or after a restart.
CREATE TABLE touchstone.credential (request bytea PRIMARY KEY, bytes bytea NOT NULL, secret bytea NOT NULL, at bigint NOT NULL);
CREATE INDEX credential_at ON touchstone.credential (at);
CREATE TABLE touchstone.command (
  id text COLLATE "C" PRIMARY KEY, device text COLLATE "C" NOT NULL, body text NOT NULL, created_at bigint NOT NULL,
  session text, seq bigint NOT NULL DEFAULT 0, outcome text
);
CREATE INDEX command_device ON touchstone.command (device);
CREATE INDEX command_open ON touchstone.command (device) WHERE outcome IS NULL;
CREATE TABLE touchstone.report (
  device text COLLATE "C" NOT NULL, session text NOT NULL, n bigint NOT NULL, kind text NOT NULL, body text NOT NULL,
  PRIMARY KEY (device, session, n)
);
CREATE TABLE touchstone.slot_order (
  device text COLLATE "C" NOT NULL, slot text NOT NULL, last bigint NOT NULL, PRIMARY KEY (device, slot)
);
CREATE TABLE touchstone.history (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device text COLLATE "C" NOT NULL, at bigint NOT NULL, kind text NOT NULL,
  text text NOT NULL
);
CREATE INDEX history_device ON touchstone.history (device, n);
CREATE INDEX history_at ON touchstone.history (at);
CREATE TABLE touchstone.log_part (
  device text COLLATE "C" NOT NULL, digest bytea NOT NULL, part integer NOT NULL, bytes bytea NOT NULL,
  PRIMARY KEY (device, digest, part)
);
-- A registry that was put back from a copy begins another life: with another name, and orders above all that may have been given out.
CREATE TABLE touchstone.life (id integer PRIMARY KEY CHECK (id = 1), name bytea, orders_from bigint NOT NULL);
INSERT INTO touchstone.life (id, name, orders_from) VALUES (1, NULL, 0);
-- Auth values of the TPMs, sealed to a key that is not here.
CREATE TABLE touchstone.escrow (device text COLLATE "C" PRIMARY KEY, at bigint NOT NULL, bytes bytea NOT NULL);
CREATE TABLE touchstone.certificate (
  serial text COLLATE "C" PRIMARY KEY, device text COLLATE "C" NOT NULL, key text NOT NULL, not_after bigint NOT NULL, pem text NOT NULL,
  revoked smallint NOT NULL DEFAULT 0
);
CREATE INDEX certificate_device ON touchstone.certificate (device);
CREATE INDEX certificate_end ON touchstone.certificate (not_after);
-- One-time tokens by their digests: who deletes the row has used the token.
CREATE TABLE touchstone.token (digest text COLLATE "C" PRIMARY KEY, name text NOT NULL, until bigint NOT NULL);

CREATE FUNCTION touchstone.note(of_device text, at_time bigint, what text, words text, keep integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO touchstone.history (device, at, kind, text) VALUES (of_device, at_time, what, words);
  DELETE FROM touchstone.history WHERE device = of_device AND n <=
    (SELECT n FROM touchstone.history WHERE device = of_device ORDER BY n DESC LIMIT 1 OFFSET keep);
END $$;

-- A report counts once. Only its own device ends a command, and the first outcome stays; but what was activated may be rolled back
-- later, and that is then how it ended.
CREATE FUNCTION touchstone.take_report(
  of_device text, at_time bigint, of_session text, number bigint, what text, of_slot text, about text, content text, words text,
  keep integer
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO touchstone.report (device, session, n, kind, body) VALUES (of_device, of_session, number, what, content)
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM touchstone.note(of_device, at_time, what, words, keep);
  IF what = 'rolled-back' THEN
    UPDATE touchstone.command SET outcome = content WHERE device = of_device AND
      (id = about OR (body::json ->> 'release' = about AND body::json ->> 'slot' = of_slot));
  ELSE
    UPDATE touchstone.command SET outcome = content WHERE id = about AND device = of_device AND outcome IS NULL;
  END IF;
END $$;

-- The compare-and-set that makes each challenge count once, however many controllers there are; and a verdict that was made before
-- an operator set the device aside, or let it in again, does not count after.
CREATE FUNCTION touchstone.accept(
  of_device text, of_state text, of_generation bigint, next_generation bigint, next_clock text, next_max_reset bigint,
  of_session text, of_last_seq bigint, at_time bigint, next_log bytea, next_slots text, next_verdict text, next_envelope text,
  next_evidence bytea, change text, sealed bytea, reports text, keep integer
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE report record;
BEGIN
  UPDATE touchstone.device SET generation = next_generation, clock = next_clock, max_reset = next_max_reset, session = of_session,
      last_seq = of_last_seq, at = at_time, log = next_log, slots = next_slots, verdict = next_verdict, envelope = next_envelope,
      evidence = next_evidence, online = 1, trouble = NULL
    WHERE id = of_device AND generation = of_generation AND state = of_state AND of_state IN ('approved', 'quarantined');
  IF NOT FOUND THEN RETURN false; END IF;
  IF reports IS NOT NULL THEN
    FOR report IN SELECT * FROM json_to_recordset(reports::json)
      AS x(session text, n bigint, kind text, slot text, subject text, body text, text text)
    LOOP
      PERFORM touchstone.take_report(of_device, at_time, report.session, report.n, report.kind, report.slot, report.subject,
        report.body, report.text, keep);
    END LOOP;
  END IF;
  IF change IS NOT NULL THEN PERFORM touchstone.note(of_device, at_time, 'verdict', change, keep); END IF;
  IF sealed IS NOT NULL THEN
    INSERT INTO touchstone.escrow AS held (device, at, bytes) VALUES (of_device, at_time, sealed)
      ON CONFLICT (device) DO UPDATE SET at = excluded.at, bytes = excluded.bytes;
  END IF;
  RETURN true;
END $$;

-- In two steps: a certificate that was given out while we waited for the device's row is seen by the second one.
CREATE FUNCTION touchstone.set_state(of_device text, from_states text[], to_state text, signed text, of_tier text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE touchstone.device SET state = to_state, endorsement = coalesce(endorsement, signed),
      tier = CASE WHEN endorsement IS NULL THEN coalesce(of_tier, tier) ELSE tier END
    WHERE id = of_device AND state = ANY (from_states);
  IF NOT FOUND THEN RETURN false; END IF;
  IF to_state = 'retired' THEN UPDATE touchstone.certificate SET revoked = 1 WHERE device = of_device; END IF;
  RETURN true;
END $$;

-- The device's row is held meanwhile: two controllers give no number twice.
CREATE FUNCTION touchstone.take_seq(of_command text, of_session text, passed bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE held touchstone.command; fresh bigint;
BEGIN
  PERFORM 1 FROM touchstone.device WHERE id = (SELECT device FROM touchstone.command WHERE id = of_command) FOR NO KEY UPDATE;
  SELECT * INTO held FROM touchstone.command WHERE id = of_command;
  IF NOT FOUND OR held.outcome IS NOT NULL THEN RETURN NULL; END IF;
  IF held.session = of_session AND held.seq > passed THEN RETURN held.seq; END IF;
  SELECT greatest(passed, coalesce(max(seq), 0)) + 1 INTO fresh
    FROM touchstone.command WHERE device = held.device AND session = of_session;
  UPDATE touchstone.command SET session = of_session, seq = fresh WHERE id = of_command;
  RETURN fresh;
END $$;

-- Parts of another log are of an evidence that did not come: they make room.
CREATE FUNCTION touchstone.put_part(of_device text, of_digest bytea, number integer, content bytea, most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM touchstone.log_part WHERE device = of_device AND digest <> of_digest;
  IF (SELECT count(*) FROM touchstone.log_part WHERE device = of_device) >= most THEN RETURN false; END IF;
  INSERT INTO touchstone.log_part AS held (device, digest, part, bytes) VALUES (of_device, of_digest, number, content)
    ON CONFLICT (device, digest, part) DO UPDATE SET bytes = excluded.bytes;
  RETURN true;
END $$;
`,
];
