"""The statements of the intake."""

from __future__ import annotations

INSERT_SIGNALS = """
INSERT INTO signal (device_id, message_id, kind, state, at, source, value, battery)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::jsonb[],
                     %s::float8[])
ON CONFLICT DO NOTHING
RETURNING device_id, message_id
"""
DEVICES = "SELECT id, kind, battery, silent FROM device WHERE id = ANY(%s)"
# The elder's row is the lock under which alarms of that elder are opened: one at a time. Subqueries in place of joins:
# planning six joined tables took longer than all that follows.
ELDERS = """
SELECT d.id, e.id, e.name, e.risk, e.plan, e.way_in,
       concat_ws('', e.district, e.street, e.compound, e.building, e.entrance, e.floor, e.room,
                 CASE WHEN e.landmark <> '' THEN '，' || e.landmark END),
       (SELECT array_agg(number ORDER BY position) FROM elder_phone WHERE elder_id = e.id),
       (SELECT jsonb_agg(jsonb_build_object('id', id, 'name', name, 'relation', relation, 'number', number)
                         ORDER BY position, id) FROM contact WHERE elder_id = e.id),
       (SELECT id FROM alarm WHERE elder_id = e.id AND phase IN ('received', 'verifying', 'alerting', 'attended')),
       settled.id, settled.ended_at
FROM device d JOIN elder e ON e.id = d.elder_id
LEFT JOIN LATERAL (SELECT id, ended_at FROM alarm WHERE elder_id = e.id AND device_id = d.id AND outcome = 'withdrawn'
                   AND ended_at > clock_timestamp() - interval '10 minutes' ORDER BY ended_at DESC LIMIT 1)
     settled ON true
WHERE d.id = ANY(%s) ORDER BY e.id FOR NO KEY UPDATE OF e
"""
ORPHANS = """
SELECT device_id, id FROM alarm WHERE elder_id IS NULL AND device_id = ANY(%s)
AND phase IN ('received', 'verifying', 'alerting', 'attended')
"""
KNOWN_SIGNALS = """
SELECT s.device_id, s.message_id, s.alarm_id FROM signal s
JOIN unnest(%s::text[], %s::text[]) AS k (device_id, message_id) USING (device_id, message_id)
"""
SIGNAL_ALARM = """
UPDATE signal s SET alarm_id = k.alarm_id FROM unnest(%s::text[], %s::text[], %s::uuid[])
     AS k (device_id, message_id, alarm_id)
WHERE s.device_id = k.device_id AND s.message_id = k.message_id
"""
DEVICE_LIVES = """
UPDATE device d SET last_seen_at = clock_timestamp(), silent = false,
       state = coalesce(k.state, d.state), battery = coalesce(k.battery, d.battery)
FROM unnest(%s::text[], %s::text[], %s::float8[]) AS k (id, state, battery) WHERE d.id = k.id
"""
QUARANTINE = """
INSERT INTO rejected_signal (source, topic, payload, reason, detail, device_id, dangerous, alarm_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
CLOCK = "SELECT clock_timestamp()"
