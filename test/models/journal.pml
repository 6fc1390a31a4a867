/* journal.pml: measuring as src/measure does it: intent, extend, done; a start looks, decides one step, and looks again.
 *
 * A PCR value is the sequence of its extends, coded base 8: 1..3 our events, 6 the event that explains a stranger's extend, 7 the stranger.
 * Environment: agent killed (what was written stays) | power cut | kernel crash with the TPM alive (what was not synced may go) |
 *   TPM reset under a living agent | suspend and resume (PCRs kept) | hibernate (PCRs zero) |
 *   an extend that is answered, executed late (after the restart too), never executed, or whose answer is lost | a stranger extends.
 * Properties: 1 what is published replays to the quoted PCR, in the quoted epoch, and a stranger's extend is in the log
 *             2 without a stranger nothing is explained as one
 *             3 no event is lost or doubled
 * -D<NAME>=0 takes a rule away: the sentences of journal-rules.ts, and STILL_SO: what was quoted is published only if the PCR is still so;
 *   QUOTE_SHOWS, QUOTED_EPOCH: without that only if the quote itself shows the PCR, and the epoch, of the log.
 * names:
 *   BARRIER = BARRIER in src/measure/journal-rules.ts
 *   SYNC_INTENT = SYNC_INTENT in src/measure/journal-rules.ts
 *   QUOTE_LOCK = QUOTE_LOCK in src/measure/journal-rules.ts
 *   EPOCH_AROUND = EPOCH_AROUND in src/measure/journal-rules.ts
 *   EPOCH_DONE = EPOCH_DONE in src/measure/journal-rules.ts
 *   CROSS = CROSS in src/measure/journal-rules.ts
 *   RESUME = RESUME in src/measure/journal-rules.ts
 *   REPEAT = REPEAT in src/measure/journal-rules.ts
 *   start_log = 'start-log' in src/measure/recovery.ts
 *   move_epoch = 'move-epoch' in src/measure/recovery.ts
 *   close = 'close' in src/measure/recovery.ts
 *   extend = 'extend' in src/measure/recovery.ts
 *   set_aside = 'set-aside' in src/measure/recovery.ts
 *   drop = 'drop' in src/measure/recovery.ts
 *   reopen = 'reopen' in src/measure/recovery.ts
 *   explain = 'explain' in src/measure/recovery.ts
 *   nothing = 'nothing' in src/measure/recovery.ts
 *   decide = recoveryStep in src/measure/recovery.ts
 *   BOOT = rules.BARRIER in src/measure/recover.ts
 *   LOOK_CLOCK = readClock in src/measure/recover.ts
 *   LOOK_PCR = readEventPcr in src/measure/recover.ts
 *   LOOK_AGAIN = sameEpoch in src/measure/recover.ts
 *   RECOVERING = extendPcr in src/measure/recover.ts
 *   IDLE = #tail in src/measure/recorder.ts
 *   EXTEND = openIntent in src/measure/recorder.ts
 *   EXTENDING = extendPcr in src/measure/recorder.ts
 *   DONE = closeIntent in src/measure/recorder.ts
 *   QUOTED = snapshot in src/measure/recorder.ts
 *   QUOTED_PCR = readEventPcr in src/measure/recorder.ts
 *   STILL_SO = found.equals(head.pcr) in src/measure/recorder.ts
 *   QUOTE_SHOWS = showsHead in src/measure/recorder.ts
 *   QUOTED_EPOCH = sameEpoch(epoch, head.epoch) in src/agent/evidence-maker.ts
 *   publish = snapshot in src/measure/recorder.ts
 *   killed = #end in src/measure/recorder.ts
 */
#ifndef PROP
#define PROP 0
#endif
#define CHECK(n, c) assert((PROP != 0 && PROP != n) || (c))
#ifndef BARRIER
#define BARRIER 1
#endif
#ifndef SYNC_INTENT
#define SYNC_INTENT 1
#endif
#ifndef QUOTE_LOCK
#define QUOTE_LOCK 1
#endif
#ifndef EPOCH_AROUND
#define EPOCH_AROUND 1
#endif
#ifndef EPOCH_DONE
#define EPOCH_DONE 1
#endif
#ifndef CROSS
#define CROSS 1
#endif
#ifndef RESUME
#define RESUME 1
#endif
#ifndef REPEAT
#define REPEAT 1
#endif
#ifndef STILL_SO
#define STILL_SO 1
#endif
#ifndef QUOTE_SHOWS
#define QUOTE_SHOWS 1
#endif
#ifndef QUOTED_EPOCH
#define QUOTED_EPOCH 1
#endif
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef CUTS
#define CUTS 2
#endif
#ifndef RESETS
#define RESETS 2
#endif
#ifndef STRANGERS
#define STRANGERS 1
#endif
#define FE 6
#define ROOM 262144   /* 8^6: no value may grow out of its coding */

mtype = { BOOT, LOOK_CLOCK, LOOK_PCR, LOOK_AGAIN, RECOVERING, IDLE, EXTEND, EXTENDING, DONE, QUOTED, QUOTED_PCR };
mtype pc = BOOT;
/* TPM */
int pcr; byte reset, restart;
chan sent = [2] of { byte };
bit answered;
/* journal: head, open intent (and what it found, when it explains a stranger), what waits aside; and what of it is durable */
int jpcr, jfound; byte jintent, jaside, jreset, jrestart; bit jforeign;
int dpcr, dfound; byte dintent, daside, dreset, drestart; bit dforeign;
/* RAM */
byte rreset, rrestart; int rpcr;
byte qreset, qrestart; int qpcr;
/* ghosts and budgets */
byte events, cuts, resets, strangers; bit foreign; byte owed;

inline sync() { dpcr = jpcr; dfound = jfound; dintent = jintent; daside = jaside; dreset = jreset; drestart = jrestart; dforeign = jforeign }
inline unsynced_lost() { jpcr = dpcr; jfound = dfound; jintent = dintent; jaside = daside; jreset = dreset; jrestart = drestart; jforeign = dforeign }
inline killed() { answered = 0; rreset = 0; rrestart = 0; rpcr = 0; qreset = 0; qrestart = 0; qpcr = 0; pc = BOOT }
#define BEFORE (jintent == FE -> jfound : jpcr)
#define AFTER (BEFORE*8 + jintent)
#define AT(i) ((qpcr / i) % 8)
#define COUNT(e) ((AT(1)==e) + (AT(8)==e) + (AT(64)==e) + (AT(512)==e) + (AT(4096)==e) + (AT(32768)==e) + (AT(262144)==e) + (AT(2097152)==e))
#define KEPT(e) (((owed>>e)&1) -> (COUNT(7) -> COUNT(e) >= 1 : COUNT(e) == 1) : (COUNT(7) || COUNT(e) <= 1))

/* what everybody concludes from what was published */
inline publish() { CHECK(1, (COUNT(7) == 0 || jforeign) && qpcr == jpcr && qreset == jreset && qrestart == jrestart); CHECK(3, KEPT(1) && KEPT(2) && KEPT(3)) }

/* recoveryStep: one decision; src/measure/recover.ts takes it and looks again */
inline decide() {
  if
  :: jreset != rreset || jrestart != rrestart ->
     if
     :: RESUME && jreset == rreset && rpcr != 0 && (rpcr == jpcr || (jintent != 0 && (rpcr == BEFORE || rpcr == AFTER))) ->
          jreset = rreset; jrestart = rrestart; sync()                              /* move_epoch */
     :: else ->                                                                      /* start_log */
          owed = 0;
          if :: CROSS && jintent != 0 && jintent != FE && rpcr == jintent -> owed = owed | (1 << jintent); jpcr = rpcr
             :: else -> jpcr = 0 fi;
          jintent = 0; jaside = 0; jfound = 0; jforeign = 0; jreset = rreset; jrestart = rrestart; sync()
     fi; pc = LOOK_CLOCK
  :: else ->
     if
     :: jintent != 0 && rpcr == AFTER ->                                             /* close */
          if :: jintent == FE -> jforeign = 1 :: else fi;
          jpcr = rpcr; jintent = 0; jfound = 0; sync(); pc = LOOK_CLOCK
     :: jintent != 0 && rpcr != AFTER && rpcr == BEFORE -> pc = RECOVERING           /* extend */
     :: jintent != 0 && rpcr != AFTER && rpcr != BEFORE ->
          if :: jintent != FE && REPEAT -> jaside = jintent; jintent = 0; sync()       /* set_aside */
             :: else -> jintent = 0; jfound = 0; sync() fi; pc = LOOK_CLOCK            /* drop */
     :: jintent == 0 && rpcr != jpcr -> CHECK(2, strangers > 0); jintent = FE; jfound = rpcr; sync(); pc = LOOK_CLOCK   /* explain */
     :: jintent == 0 && rpcr == jpcr && jaside != 0 -> jintent = jaside; jaside = 0; sync(); pc = LOOK_CLOCK      /* reopen */
     :: jintent == 0 && rpcr == jpcr && jaside == 0 -> pc = IDLE                     /* nothing */
     fi
  fi; rreset = 0; rrestart = 0; rpcr = 0 }

active proctype World() {
  byte e;
  do
  /* ---- recover ---- */
  :: d_step { pc == BOOT && (!BARRIER || empty(sent)) -> pc = LOOK_CLOCK }
  :: d_step { pc == LOOK_CLOCK -> rreset = reset; rrestart = restart; pc = LOOK_PCR }
  :: d_step { pc == LOOK_PCR -> rpcr = pcr; pc = LOOK_AGAIN }
  :: d_step { pc == LOOK_AGAIN ->
       if :: EPOCH_AROUND && (rreset != reset || rrestart != restart) -> rreset = 0; rrestart = 0; rpcr = 0; pc = LOOK_CLOCK
          :: else -> decide() fi }
  :: d_step { pc == RECOVERING && nfull(sent) && !answered -> sent!jintent; answered = 0; pc = EXTENDING; qpcr = 1 }
  :: d_step { pc == EXTENDING && qpcr == 1 && answered -> answered = 0; qpcr = 0; pc = LOOK_CLOCK }
  /* ---- append ---- */
  :: d_step { pc == IDLE && events < EVENTS && jpcr < ROOM -> events++; jintent = events;
       if :: jreset == reset && jrestart == restart -> owed = owed | (1 << events) :: else fi;
       if :: SYNC_INTENT -> sync() :: else fi; pc = EXTEND }                          /* openIntent */
  :: d_step { pc == EXTEND && nfull(sent) -> sent!jintent; answered = 0; pc = EXTENDING }  /* extendPcr */
  :: d_step { pc == EXTENDING && qpcr == 0 && answered -> answered = 0; pc = DONE }
  :: d_step { pc == EXTENDING -> killed() }                                           /* no answer: the agent ends */
  :: d_step { pc == DONE -> if :: EPOCH_DONE && (reset != jreset || restart != jrestart) -> killed()
       :: else -> jpcr = AFTER; jintent = 0; pc = IDLE fi }                            /* closeIntent */
  /* ---- snapshot: a quote that shows the log's PCR and epoch is published; after any other, PCR, then epoch, and only then ---- */
  :: d_step { pc == IDLE -> qreset = reset; qrestart = restart; qpcr = pcr; pc = QUOTED }
  :: d_step { pc == QUOTED && (!QUOTE_SHOWS || qpcr == jpcr) && (!QUOTED_EPOCH || (qreset == jreset && qrestart == jrestart)) ->
       publish(); qreset = 0; qrestart = 0; qpcr = 0; pc = IDLE }
  :: d_step { pc == QUOTED -> if :: STILL_SO && pcr != jpcr -> qpcr = 0; CHECK(2, strangers > 0 || reset != jreset || restart != jrestart); killed()
       :: else -> pc = QUOTED_PCR fi }
  :: d_step { pc == QUOTED_PCR ->
       if :: reset != jreset || restart != jrestart -> killed()
          :: else -> publish(); qreset = 0; qrestart = 0; qpcr = 0; pc = IDLE fi }
  :: d_step { !QUOTE_LOCK && (pc == EXTEND || pc == DONE || (pc == EXTENDING && qpcr == 0)) && reset == jreset && restart == jrestart ->
       CHECK(2, pcr == jpcr || strangers > 0) }
  /* ---- TPM ---- */
  :: d_step { nempty(sent) && pcr < ROOM -> sent?e; pcr = pcr*8 + e; if :: pc == EXTENDING -> answered = 1 :: else fi; e = 0 }
  :: d_step { nempty(sent) -> sent?e; e = 0 }
  /* ---- environment ---- */
  :: d_step { strangers < STRANGERS && pcr < 4096 -> strangers++; pcr = pcr*8 + 7; foreign = 1 }
  :: d_step { cuts < CUTS -> cuts++; killed() }
  :: d_step { cuts < CUTS -> cuts++; unsynced_lost(); killed() }
  :: d_step { cuts < CUTS -> cuts++; killed(); reset++; restart = 0; pcr = 0; foreign = 0; do :: nempty(sent) -> sent?e :: empty(sent) -> break od; e = 0 }
  :: d_step { cuts < CUTS -> cuts++; unsynced_lost(); killed(); reset++; restart = 0; pcr = 0; foreign = 0; do :: nempty(sent) -> sent?e :: empty(sent) -> break od; e = 0 }
  :: d_step { resets < RESETS -> resets++; reset++; restart = 0; pcr = 0; foreign = 0 }
  :: d_step { resets < RESETS -> resets++; restart++ }
  :: d_step { resets < RESETS -> resets++; restart++; pcr = 0; foreign = 0 }
  od
}
