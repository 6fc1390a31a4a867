// Checks of the device's own part: TPM counters, boot, agent, profile and components against what the owner expects.
import { shortHex, toHex } from '../../bytes/text.ts';
import type { Components } from '../../cel/events.ts';
import type { Check, Expected } from '../contexts.ts';
import { isHexOf, sameBytes } from '../same-bytes.ts';
import { counterWentBack, clockWentBack, wasCleared } from '../tpm-history.ts';

const PARTS = ['agent', 'node', 'profile', 'trust', 'runtime'] as const;

const hexOrNone = (bytes: Uint8Array | null): string => (bytes === null ? 'none' : toHex(bytes));

function sameComponents(a: Components, b: Components): boolean {
  return a.gateMode === b.gateMode && PARTS.every((part) => sameBytes(a[part], b[part]));
}

/** The parts of `found` that are not as in `expected`, as text. */
function differences(expected: Components, found: Components): string[] {
  const texts = PARTS.filter((part) => !sameBytes(expected[part], found[part])).map(
    (part) => `${part} ${hexOrNone(found[part])}`,
  );
  return expected.gateMode === found.gateMode ? texts : [...texts, `gate mode ${found.gateMode}`];
}

function isAmong(allowed: ReadonlySet<string>, value: Uint8Array): boolean {
  for (const one of allowed) if (isHexOf(one, value)) return true;
  return false;
}

export const deviceChecks: readonly Check<Expected>[] = [
  {
    name: 'tpm-cleared',
    run: ({ claims, input }, findings) => {
      if (!wasCleared(claims, input.row)) return;
      const expected = `the TPM in life ${hexOrNone(input.row.log?.tpmLife ?? null)}`;
      findings.add('tpm-cleared', 'contraindicated', 'device', expected, hexOrNone(claims.tpmLife ?? null), 'fleet');
    },
  },
  {
    name: 'tpm-counters',
    run: ({ quote, claims, input }, findings) => {
      if (wasCleared(claims, input.row) || !counterWentBack(quote, input.row)) return;
      const { log, maxResetCount } = input.row;
      const expected = `reset count ${maxResetCount} or more, restart count ${log?.epoch.restartCount ?? 0} or more`;
      const found = `reset count ${quote.resetCount}, restart count ${quote.restartCount}`;
      findings.add('tpm-cleared-or-replaced', 'contraindicated', 'device', expected, found, 'fleet');
    },
  },
  {
    name: 'tpm-clock',
    run: ({ quote, claims, input }, findings) => {
      if (wasCleared(claims, input.row) || !clockWentBack(quote, input.row, input.endorsement.endorsement.tier)) return;
      const expected = `a TPM clock of ${input.row.clock} ms or more`;
      findings.add('clock-rolled-back', 'contraindicated', 'device', expected, `${quote.clock} ms`, 'fleet');
    },
  },
  {
    name: 'foreign-extension',
    run: ({ state, input }, findings) => {
      if (state.foreignExtensions === 0) return;
      const { eventPcr } = input.reference.profile;
      const expected = `PCR ${eventPcr} extended by the agent alone`;
      const found = `${state.foreignExtensions} unexplained in this log`;
      findings.add('foreign-extension', 'none', 'device', expected, found, 'profile');
    },
  },
  {
    name: 'boot-explained',
    run: ({ state }, findings) => {
      if (state.bootExplained) return;
      const expected = 'record 1: boot of this device, record 2: start of its agent';
      findings.add('boot-explained', 'none', 'device', expected, 'another beginning', 'profile');
    },
  },
  {
    name: 'agent-start',
    run: ({ state, claims }, findings) => {
      if (sameBytes(state.startedSession, claims.session)) return;
      const found = `session ${shortHex(claims.session)}`;
      if (state.startedSession === null) {
        // Not against it: the TPM may have been reset under a running agent. Without any start, `boot-explained` says more.
        const expected = 'an agent start in this log, with a session of its own';
        findings.add('agent-start', 'warning', 'device', expected, `agent start not explained: ${found}`, 'profile');
        return;
      }
      const expected = `session ${shortHex(state.startedSession)}`;
      findings.add('agent-start', 'contraindicated', 'device', expected, found, 'profile');
    },
  },
  {
    name: 'profile',
    run: ({ state, claims, input }, findings) => {
      const { id, digest } = input.reference.profile;
      const measured = state.components?.profile ?? null;
      if (claims.profile === id && sameBytes(claims.profileDigest, digest) && sameBytes(measured, digest)) return;
      const found = `${claims.profile} ${shortHex(claims.profileDigest)}, measured ${hexOrNone(measured)}`;
      findings.add('profile', 'contraindicated', 'device', `${id} ${toHex(digest)}`, found, 'profile');
    },
  },
  {
    name: 'components',
    run: ({ state, input }, findings) => {
      const allowed = input.reference.components;
      const found = state.components;
      if (allowed === null || found === null) return;
      if (allowed.some((components) => sameComponents(components, found))) return;
      const gaps = allowed.map((components) => differences(components, found));
      const nearest = gaps.toSorted((a, b) => a.length - b.length)[0] ?? [];
      const expected = `one of ${allowed.length} sets of components`;
      findings.add('components', 'contraindicated', 'device', expected, nearest.join(', ') || 'unlisted', 'fleet');
    },
  },
  {
    name: 'boot-pcr',
    run: ({ bootPcr, input }, findings) => {
      for (const [pcr, allowed] of input.reference.bootPcrs) {
        const value = bootPcr(pcr);
        if (value !== undefined && isAmong(allowed, value)) continue;
        const found = value === undefined ? 'not quoted' : toHex(value);
        const expected = `PCR ${pcr}: ${[...allowed].slice(0, 4).join(' or ') || 'nothing'}`;
        findings.add('boot-pcr', 'contraindicated', 'device', expected, `PCR ${pcr}: ${found}`, 'fleet');
      }
    },
  },
  {
    name: 'measured-late',
    run: ({ claims, input }, findings) => {
      const limit = input.reference.profile.maxDetectionSeconds * 2000;
      if (claims.measuredAgo <= limit) return;
      const found = `${claims.measuredAgo} ms ago`;
      findings.add('measured-late', 'warning', 'device', `every slot read in the last ${limit} ms`, found, 'profile');
    },
  },
  {
    name: 'report-name',
    run: ({ claims }, findings) => {
      if (claims.reports.length < 2) return;
      const names = claims.reports.map(({ session, n }) => `${toHex(session)}/${n}`);
      const twice = names.find((name, i) => names.indexOf(name) !== i);
      if (twice === undefined) return;
      findings.add('report-name', 'contraindicated', 'device', 'distinct names', `report ${twice} twice`, 'profile');
    },
  },
  {
    name: 'report-trouble',
    run: ({ claims }, findings) => {
      for (const { kind, rule, detail } of claims.reports) {
        if (kind !== 'tpm' && kind !== 'journal') continue;
        findings.add('report-trouble', 'warning', 'device', 'no trouble', `${kind}: ${rule}: ${detail}`, 'profile');
      }
    },
  },
  {
    name: 'tier-software',
    run: ({ input }, findings) => {
      const { tier } = input.endorsement.endorsement;
      if (tier !== 'software') return;
      findings.add('tier-software', 'warning', 'device', 'a hardware TPM', 'a software TPM', 'endorsement');
    },
  },
];
