// What a device that nothing happened to says of itself, for tests of evidence.
import type { DeviceClaims } from '../../src/agent/evidence-maker.ts';

export const deviceClaims: DeviceClaims = {
  fleetId: Buffer.alloc(16, 1),
  deviceId: 'device',
  session: Buffer.alloc(16, 9),
  agentVersion: '1',
  profile: 'p',
  profileDigest: Buffer.alloc(32, 4),
  lastSeq: 0,
  slots: [],
  now: 0,
  measuredAgo: 0,
};
