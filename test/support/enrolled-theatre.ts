// A fleet of real processes whose one device has joined, for tests that go on from there with profiles and releases of their own.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Theatre } from '../../src/demo/theatre.ts';
import { Stage } from '../../src/testing/stage.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;

export interface EnrolledTheatre {
  readonly stage: Stage;
  readonly theatre: Theatre;
}

/** A profile as the demo's is, as far as tests change it. */
export interface TheatreProfile {
  readonly slots: readonly object[];
}

/** Another profile, for the device and its controller; to be given before they start. */
export async function changeProfile(
  { stage, theatre }: EnrolledTheatre,
  change: (profile: TheatreProfile) => object,
): Promise<void> {
  const profile = JSON.parse(await readFile(theatre.profile, 'utf8')) as TheatreProfile;
  const text = JSON.stringify(change(profile));
  await writeFile(theatre.profile, text);
  await writeFile(stage.path('fleet', 'controller', 'profiles', 'demo.json'), text);
}

/** `before`: what is to be done when there is a fleet, and nothing runs yet. Whoever got it ends the stage. */
export async function enrolledTheatre(
  before: (made: EnrolledTheatre) => Promise<void> = async () => Promise.resolve(),
): Promise<EnrolledTheatre> {
  const stage = await Stage.open();
  try {
    const theatre = await Theatre.open(stage, main);
    await mkdir(stage.path('models'), { recursive: true });
    await theatre.makeFleet();
    await before({ stage, theatre });
    await theatre.startBroker();
    await theatre.startController();
    await theatre.powerOn();
    await theatre.enrol();
    return { stage, theatre };
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}
