/* upgrade.pml: a release in a slot, its trial, and the version floor in the TPM, as src/gate does it, with the power cut at every step.
 *
 * Releases 1, 2, 3 have security versions 1, 2, 3. The device begins with 1 committed and floor 1. Release 2 may be good, unhealthy, or
 * kill the device in its trial; 3 is good. Offers: 2, then 3; 2 may be withdrawn. Releases lie by content: a new one overwrites none.
 * A floor write is answered, lost, or executed late. The attacker puts an older disk back; he cannot turn back the TPM.
 * Properties: 1 nothing below the floor is ever activated
 *             2 without the attacker a start ends with one loadable release at or above the floor
 *             3 the floor is at most what passed its trial here
 *             4 every run settles in RUN or NOLOAD (-DNP)
 *             5 a roll-back never throws away what was committed here when the fallback is below the floor
 * -D<NAME>=0 takes a rule away.
 * names:
 *   NONE = 'NONE' in src/store/journal.ts
 *   STAGED = 'STAGED' in src/store/journal.ts
 *   TRIAL = 'TRIAL' in src/store/journal.ts
 *   COMMITTING = 'COMMITTING' in src/store/journal.ts
 *   COMMITTED = 'COMMITTED' in src/store/journal.ts
 *   staged = staged in src/store/journal.ts
 *   tries = tries in src/store/journal.ts
 *   BOOT = recoverSlot in src/gate/recover.ts
 *   WAS_COMMITTED = wasCommitted in src/gate/recover.ts
 *   TRIAL_BOOTS = TRIAL_BOOTS in src/gate/trial.ts
 *   AFTER_HEALTH = commit( in src/gate/trial-end.ts
 *   STAGE = markStaged in src/gate/trial.ts
 *   ACT = act( in src/gate/trial.ts
 *   RECHECK = floorNow in src/gate/trial.ts
 *   RUN = loaded: true in src/gate/settle.ts
 *   NOLOAD = loaded: false in src/gate/settle.ts
 *   settle = settle( in src/gate/settle.ts
 *   HEALTH = commit( in src/gate/trial-end.ts
 *   FLOOR = raise( in src/gate/trial-end.ts
 *   FLOOR_WRITE = floor.raise in src/gate/trial-end.ts
 *   FIN = raiseAndClose in src/gate/trial-end.ts
 *   FLOOR_FIRST = closeCommitted in src/gate/trial-end.ts
 *   BACK = rollBack in src/gate/trial-end.ts
 *   RECHECK_COMMITTING = securityVersion) >= value in src/gate/recover.ts
 *   FORWARD = raiseAndClose in src/gate/recover.ts
 */
#ifndef PROP
#define PROP 0
#endif
#define CHECK(n, c) assert((PROP != 0 && PROP != n) || (c))
#ifndef RECHECK            /* each activation compares with the floor read from the TPM */
#define RECHECK 1
#endif
#ifndef RECHECK_COMMITTING /* ... also when a start goes on with a commitment */
#define RECHECK_COMMITTING 1
#endif
#ifndef FORWARD            /* COMMITTING is left only forwards */
#define FORWARD 1
#endif
#ifndef AFTER_HEALTH       /* the floor rises only after the trial has passed */
#define AFTER_HEALTH 1
#endif
#ifndef TRIAL_BOOTS        /* boots of a trial; 0: uncounted */
#define TRIAL_BOOTS 3
#endif
#ifndef FLOOR_FIRST        /* COMMITTING, floor, COMMITTED */
#define FLOOR_FIRST 1
#endif
#ifndef WAS_COMMITTED      /* a restored STAGED or TRIAL whose release is exactly at the floor, with the fallback below, was committed once */
#define WAS_COMMITTED 1
#endif
#ifndef CUTS
#define CUTS 3
#endif
#ifndef RESTORES
#define RESTORES 2
#endif
mtype = { NONE, STAGED, TRIAL, COMMITTING, COMMITTED };
mtype = { BOOT, RUN, NOLOAD, STAGE, ACT, HEALTH, FLOOR, FLOOR_WRITE, FIN, BACK };
mtype pc = BOOT; mtype state = COMMITTED;
/* the slot's row, and which releases lie on the disk (bits) */
byte held = 1, staged, tries; byte disk = 2;
/* the attacker's image of it */
mtype istate; byte iheld, istaged, itries, idisk; bit image;
/* TPM, and a floor write on its way */
byte floor = 1, pending;
/* RAM, controller, ghosts */
byte loaded, offer, failed; bit withdrawn;
byte cuts, restores, passed = 2, good = 1, two;

#define ON_DISK(r) ((disk >> (r)) & 1)
#define MAY(r) ((r) != 0 && ON_DISK(r) && (!RECHECK || (r) >= floor))
#define GONE(r) ((r) == 2 && withdrawn)
inline activate(r) { CHECK(1, (r) >= floor); loaded = r }
inline reboot() { loaded = 0; pc = BOOT }
/* releases that no row names are swept */
inline sweep() { disk = ((1 << held) | (staged != 0 -> (1 << staged) : 0)) & disk }
inline settle() { if :: MAY(held) -> activate(held); pc = RUN :: else -> loaded = 0; pc = NOLOAD fi }

active proctype World() {
  if :: two = 0 :: two = 1 :: two = 2 fi;       /* release 2: good, unhealthy, kills the device */
  do
  :: atomic { pc == BOOT && pending == 0 ->      /* a command answered first */
       if
       :: WAS_COMMITTED && (state == TRIAL || state == STAGED) && staged == floor && held < floor && !GONE(staged) ->
            held = staged; staged = 0; tries = 0; state = COMMITTED; settle()
       :: else ->
          if
          :: state == STAGED -> if :: MAY(staged) && !GONE(staged) -> pc = ACT :: else -> pc = BACK fi
          :: state == TRIAL -> if :: (TRIAL_BOOTS > 0 && tries >= TRIAL_BOOTS) || GONE(staged) -> pc = BACK :: else -> pc = ACT fi
          :: state == COMMITTING -> if :: !FORWARD || (RECHECK_COMMITTING && !MAY(staged)) -> pc = BACK
                                       :: else -> activate(staged); pc = FLOOR fi
          :: state == NONE || state == COMMITTED -> settle()
          fi
       fi }
  :: atomic { (pc == RUN || pc == NOLOAD) && offer < 2 && offer + 2 >= floor && !(offer == 0 && withdrawn) && offer + 2 != failed ->
       offer++; disk = disk | (1 << (offer + 1)); pc = STAGE }
  :: atomic { pc == STAGE -> staged = offer + 1; state = STAGED; tries = 0; pc = ACT;
       if :: !AFTER_HEALTH && floor < staged -> floor = staged :: else fi }
  :: atomic { pc == ACT -> if :: !RECHECK || staged >= floor -> state = TRIAL; tries = (TRIAL_BOOTS > 0 -> tries + 1 : 0); activate(staged); pc = HEALTH
       :: else -> pc = BACK fi }
  :: atomic { pc == HEALTH && staged == 2 && two == 2 -> reboot() }
  :: atomic { pc == HEALTH && ((staged == 2 && two == 1) || GONE(staged)) -> pc = BACK }
  :: atomic { pc == HEALTH && !(staged == 2 && two != 0) -> if :: good < staged -> good = staged :: else fi;
       if :: FLOOR_FIRST -> state = COMMITTING; pc = FLOOR
          :: else -> held = staged; staged = 0; state = COMMITTED; passed = passed | (1 << held); pc = FLOOR fi }
  :: atomic { pc == FLOOR -> if :: (FLOOR_FIRST -> staged : held) > floor -> pending = (FLOOR_FIRST -> staged : held) :: else fi; pc = FLOOR_WRITE }
  :: atomic { pc == FLOOR_WRITE && pending == 0 -> pc = FIN }
  :: atomic { pc == FIN && !FLOOR_FIRST -> pc = RUN }
  :: atomic { pc == FIN && FLOOR_FIRST ->
       if :: floor == staged -> passed = passed | (1 << staged); held = staged; staged = 0; tries = 0; state = COMMITTED; activate(held); sweep(); pc = RUN
          :: floor < staged -> pc = FLOOR
          :: floor > staged -> pc = BACK fi }
  :: atomic { pc == BACK -> CHECK(5, !(((passed >> staged) & 1) && staged >= floor && held < floor && !GONE(staged)));
       failed = staged; staged = 0; tries = 0; state = COMMITTED; sweep(); settle() }
  /* the TPM takes nothing below what it holds */
  :: atomic { pending != 0 -> if :: floor < pending -> floor = pending :: else fi; pending = 0 }
  /* environment */
  :: atomic { pending != 0 && cuts < CUTS -> cuts++; pending = 0; reboot() }
  :: atomic { cuts < CUTS -> cuts++; reboot() }
  :: atomic { !withdrawn && offer > 0 -> withdrawn = 1 }
  :: atomic { RESTORES > 0 && !image -> image = 1; istate = state; iheld = held; istaged = staged; itries = tries; idisk = disk }
  :: atomic { image && restores < RESTORES -> restores++; state = istate; held = iheld; staged = istaged; tries = itries; disk = idisk; reboot() }
#ifndef NP
  :: atomic { (pc == RUN || pc == NOLOAD) -> CHECK(2, restores > 0 || pc == RUN); CHECK(2, restores > 0 || loaded >= floor);
       CHECK(2, pc != RUN || FLOOR_FIRST || floor >= loaded); skip }
  :: atomic { floor > good -> CHECK(3, 0); break }
  :: timeout -> CHECK(4, 0); break
#endif
  od
}
