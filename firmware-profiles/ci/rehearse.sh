#!/bin/sh
# One step of a build: makes a signed release of a model and rehearses it against every profile given. Run by the examples beside it.
#
# Settings (environment):
#   MODEL             folder of the model
#   MODEL_ID          the model id that slots of the profiles take
#   RELEASE_VERSION   for people, such as the tag
#   SECURITY_VERSION  raise it only to withdraw everything older
#   SLOT_ROLE         role of the slots
#   HARDWARE_CLASS    hardware classes, separated by spaces
#   PROFILES          profile files, separated by spaces
#   TOUCHSTONE_KEY    file of the publisher's private key; a test key is made where there is none
#   FROM              release folder that the devices run now (optional)
#   OUT               folder to write: release/, publisher.pub.pem and rehearsal.xml
set -eu
: "${MODEL:?}" "${MODEL_ID:?}" "${RELEASE_VERSION:?}" "${SECURITY_VERSION:?}" "${SLOT_ROLE:?}" "${HARDWARE_CLASS:?}" "${PROFILES:?}" "${OUT:?}"
mkdir -p "$OUT"

if [ -z "${TOUCHSTONE_KEY:-}" ]; then
  # A build of somebody else's change gets no key: it is rehearsed all the same, with one that no device trusts.
  touchstone keygen --out "$OUT/test-key" >/dev/null
  TOUCHSTONE_KEY="$OUT/test-key/publisher.key.pem"
  export TOUCHSTONE_KEY
  cp "$OUT/test-key/publisher.pub.pem" "$OUT/publisher.pub.pem"
else
  openssl pkey -in "$TOUCHSTONE_KEY" -pubout -out "$OUT/publisher.pub.pem"
fi

# shellcheck disable=SC2086 # lists of words
touchstone release make "$MODEL" --model-id "$MODEL_ID" --release-version "$RELEASE_VERSION" \
  --security-version "$SECURITY_VERSION" --slot-role "$SLOT_ROLE" --hardware-class $HARDWARE_CLASS --out "$OUT/release"

set -- --release "$OUT/release" --key "$OUT/publisher.pub.pem" --junit "$OUT/rehearsal.xml"
for profile in $PROFILES; do set -- "$@" --profile "$profile"; done
[ -z "${FROM:-}" ] || set -- "$@" --from "$FROM"
# 0: fit to ship. 1: not; the report names the rule. 3: it could not be played here.
exec touchstone rehearse "$@"
