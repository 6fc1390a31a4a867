/* lease.pml: how long a result is good for, as src/agent/lease.ts counts it on a TPM clock that power cuts turn back.
 *
 * One tick is 4 s of powered time, the most that a TPM clock goes back at a cut. The TPM clock goes on only while powered, goes back by
 * 0 or 1 at a cut (resetCount +1); TPM2_Clear sets clock and counters to zero and begins another life of the TPM, which the start of an
 * agent reads and the journal remembers; it also takes the key of quotes away, so that an agent that lives on quotes no more. The
 * controller answers each evidence, with a verdict that grants a lease or one that ends it; the broker keeps results for ever and delivers them any time, several times, or never. The
 * disk may be restored once. `alive` is the ghost: true powered ticks.
 * Properties: 1 a running lease that was looked at was granted by evidence quoted at most LEASE true ticks ago
 *             2 once a result that ends the lease was taken, no older result brings it back (without a disk restore)
 *             3 after a result that ends the lease none is running until a newer one grants it
 *             4 break-glass lasts at most GLASS true ticks (without a disk restore)
 *             5 no more than GLASS ticks of use go by under break-glass until a lease ran again (without a disk restore)
 * Anyone at the device may break the glass whenever no lease is running (BREAKS times).
 * -D<NAME>=0 takes a rule away.
 * names:
 *   FROM_QUOTE = from in src/agent/lease.ts
 *   RESET_COSTS = resetCostsMs in src/agent/lease.ts
 *   VOID = 'void' in src/agent/lease.ts
 *   USED = usedMs in src/agent/lease.ts
 *   RUNNING = 'running' in src/agent/lease.ts
 *   SESSION = sent.session in src/agent/lease-keeper.ts
 *   ORDER = sent.order in src/agent/lease-keeper.ts
 *   GRANTING = isGranted in src/agent/lease-keeper.ts
 *   take = take( in src/agent/lease-keeper.ts
 *   answered = #answered in src/agent/lease-keeper.ts
 *   start = randomBytes(16) in src/cli/agent-wiring.ts
 *   broken = broken in src/agent/glass-keeper.ts
 *   ONCE = 'glass-broken' in src/agent/glass-keeper.ts
 *   MENDS = mend( in src/agent/glass-keeper.ts
 *   MENDS_RUNNING = lease.state === 'running' in src/agent/glass-keeper.ts
 *   LIFE = settleTpmLife in src/agent/tpm-life.ts
 *   END_FIRST = endLease in src/agent/tpm-life.ts
 *   WATCH = #sameLife in src/agent/lease-keeper.ts
 */
#ifndef PROP
#define PROP 0
#endif
#define CHECK(n, c) assert((PROP != 0 && PROP != n) || (c))
#ifndef FROM_QUOTE
#define FROM_QUOTE 1
#endif
#ifndef RESET_COSTS
#define RESET_COSTS 1
#endif
#ifndef SESSION
#define SESSION 1
#endif
#ifndef ORDER
#define ORDER 1
#endif
#ifndef GRANTING
#define GRANTING 1
#endif
#ifndef ONCE
#define ONCE 1
#endif
#ifndef MENDS_RUNNING
#define MENDS_RUNNING 1
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef CUTS
#define CUTS 2
#endif
#ifndef CLEARS
#define CLEARS 0
#endif
#ifndef LIFE
#define LIFE 1
#endif
#ifndef END_FIRST
#define END_FIRST 1
#endif
#ifndef WATCH
#define WATCH 1
#endif
#ifndef RESTORES
#define RESTORES 1
#endif
#ifndef TMAX
#define TMAX 5
#endif
#define LEASE 2
#define NQ 2
#define GLASS 1
/* TPM */
byte clock, resets, life = 1;
/* evidences and their results: clock and resets of the quote, session, ghost true time, whether the verdict grants */
byte nq; byte qc[NQ], qr[NQ], qs[NQ], qa[NQ]; bit qg[NQ];
/* RAM */
byte session = 1, answered;
/* RAM: the life at the start */
byte mine = 1;
/* journal: the life that it knows; the lease, from the quote that it answers; ghost: true time of that */
byte jl = 1; bit lv; byte lc, lr, la; bit lg;
/* journal: the glass, from the moment it was broken; it stays broken when its time is over, or was taken from it; ghosts: true time of
 * that, use under it */
bit broken, gv; byte gc, gr, ga, glassed, breaks;
/* image of the disk */
bit img, ilv, ilg, ibroken, igv; byte ilc, ilr, ila, igc, igr, ijl;
/* ghosts and budgets */
byte alive, cuts, clears, restores, ended; bit bad;

#define USED (clock - lc + (RESET_COSTS -> resets - lr : 0))
#define VOID (resets < lr || USED < 0)
#define RUNNING (lv && lg && !VOID && USED < LEASE)
#define GLASS_USED (clock - gc + (RESET_COSTS -> resets - gr : 0))
#define GLASS_RUNS (broken && gv && resets >= gr && GLASS_USED >= 0 && GLASS_USED < GLASS)
#define MENDS if :: RUNNING || (!MENDS_RUNNING && lg) -> broken = 0 :: else fi; if :: RUNNING -> glassed = 0 :: else fi
/* take: a result for evidence that this session sent, not older than the newest one answered */
inline take(i) {
  if :: (SESSION && qs[i] != session) || (ORDER && i + 1 < answered) -> skip
     :: else ->
        if :: i + 1 > answered -> answered = i + 1 :: else fi;
        lv = 1; lg = (!GRANTING || qg[i]); lr = (FROM_QUOTE -> qr[i] : resets); lc = (FROM_QUOTE -> qc[i] : clock); la = qa[i];
        bad = !qg[i];
        MENDS;
        CHECK(2, restores > 0 || !qg[i] || i + 1 >= ended);
        if :: !qg[i] && i + 1 > ended -> ended = i + 1 :: else fi
  fi }
/* What leans on the TPM's clock ends with the TPM's life. Cut between the two steps, the next start does them again. */
inline start() {
  session++; answered = 0; mine = life;
  if
  :: LIFE && jl != life ->
     if :: END_FIRST -> lv = 0; gv = 0 :: else -> jl = life fi;
     if
     :: cuts < CUTS -> cuts++
     :: lv = 0; gv = 0; jl = life
     fi
  :: else
  fi }

active proctype World() {
  do
  :: d_step { alive < TMAX ->
       if :: (!WATCH || mine == life) && RUNNING -> glassed = 0
          :: (!WATCH || mine == life) && !RUNNING && GLASS_RUNS -> glassed++
          :: else
       fi;
       clock++; alive++ }
  :: d_step { breaks < BREAKS && (!WATCH || mine == life) && !RUNNING && (!ONCE || !broken) ->
       breaks++; broken = 1; gv = 1; gc = clock; gr = resets; ga = alive }
  /* remember; a good verdict, or a bad one */
  :: d_step { nq < NQ && mine == life -> qc[nq] = clock; qr[nq] = resets; qs[nq] = session; qa[nq] = alive; qg[nq] = 1; nq++ }
  :: d_step { nq < NQ && mine == life -> qc[nq] = clock; qr[nq] = resets; qs[nq] = session; qa[nq] = alive; qg[nq] = 0; nq++ }
  :: d_step { nq > 0 -> take(0) }
  :: d_step { nq > 1 -> take(1) }
  :: atomic { session < 6 && cuts < CUTS -> cuts++; resets++; start() }
  :: atomic { session < 6 && cuts < CUTS && clock > 0 -> cuts++; resets++; clock--; start() }
  /* a clear under a running agent; and one before its start */
  :: d_step { clears < CLEARS -> clears++; clock = 0; resets = 0; life++ }
  :: atomic { session < 6 && mine != life -> start() }
  :: d_step { RESTORES > 0 && !img -> img = 1; ilv = lv; ilg = lg; ilc = lc; ilr = lr; ila = la; ijl = jl;
       ibroken = broken; igc = gc; igr = gr; igv = gv }
  :: atomic { img && restores < RESTORES && session < 6 -> restores++; lv = ilv; lg = ilg; lc = ilc; lr = ilr; la = ila; jl = ijl;
       broken = ibroken; gc = igc; gr = igr; gv = igv; start() }
  /* The lease is looked at: an agent whose TPM begins another life under it starts again. */
  :: d_step { (!WATCH || mine == life) && GLASS_RUNS ->
       CHECK(4, restores > 0 || alive < ga + GLASS); CHECK(5, restores > 0 || RUNNING || glassed < GLASS) }
  :: d_step { (!WATCH || mine == life) && RUNNING -> CHECK(1, alive <= la + LEASE); CHECK(3, restores > 0 || !bad) }
  od
}
