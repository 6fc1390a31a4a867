// All bad releases that the gate's tests know.
import type { BadRelease } from './bad-release.ts';
import { BADLY_SIGNED } from './badly-signed.ts';
import { FILE_FAULTS } from './file-faults.ts';
import { ESCAPES, UNFIT } from './unfit.ts';

export const BAD_RELEASES: readonly BadRelease[] = [...BADLY_SIGNED, ...ESCAPES, ...UNFIT, ...FILE_FAULTS];
