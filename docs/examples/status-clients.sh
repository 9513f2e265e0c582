#!/bin/sh
# Ask the status service and the time-stamping authority with other people's programs: openssl,
# GnuTLS and curl. Every command can be pasted; the script stops at the first that is not content.
#
#   docs/examples/status-clients.sh PKI CERTIFICATE ISSUER OCSP-ADDRESS TSA-ADDRESS
#
# PKI is the folder with trust-anchors.pem and tsu-1.pem of `imza ca init --out`; CERTIFICATE and
# its ISSUER are PEM files; addresses such as http://ocsp.example.az/ocsp and
# http://tsa.example.az/tsa.
set -eu
PKI=$1 CERTIFICATE=$2 ISSUER=$3 OCSP=$4 TSA=$5
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cp "$CERTIFICATE" "$WORK/certificate.pem"
cp "$ISSUER" "$WORK/issuer.pem"
cp "$PKI/trust-anchors.pem" "$WORK/roots.pem"
cp "$PKI/tsu-1.pem" "$WORK/unit.pem"
cd "$WORK"
show() { printf '\n$ %s\n' "$*"; "$@" 2>&1; }

# The status of a certificate, by POST with a nonce, identified with SHA-1 and with SHA-256.
for HASH in sha1 sha256; do
    show openssl ocsp -$HASH -issuer issuer.pem -cert certificate.pem -url "$OCSP" \
        -CAfile roots.pem -verify_other issuer.pem
done

# The same by GET, which caches may keep.
show openssl ocsp -issuer issuer.pem -cert certificate.pem -no_nonce -reqout request.der
ENCODED=$(openssl base64 -A -in request.der | sed 's/+/%2B/g; s/\//%2F/g; s/=/%3D/g')
show curl --silent --show-error --fail --dump-header headers.txt --output answer.der "$OCSP/$ENCODED"
grep -i -E '^(HTTP|cache-control|etag|expires|last-modified)' headers.txt
show openssl ocsp -respin answer.der -issuer issuer.pem -cert certificate.pem -no_nonce \
    -CAfile roots.pem -verify_other issuer.pem
ETAG=$(sed -n 's/^[Ee][Tt][Aa][Gg]: \(.*\)\r$/\1/p' headers.txt)
show curl --silent --show-error --output /dev/null --write-out '%{http_code}\n' \
    --header "If-None-Match: $ETAG" "$OCSP/$ENCODED"

# GnuTLS asks without a nonce and keeps the answer.
show ocsptool --ask="$OCSP" --load-cert=certificate.pem --load-issuer=issuer.pem \
    --outfile=gnutls.der
show ocsptool --verify-response --load-response=gnutls.der --load-trust=issuer.pem \
    --load-issuer=issuer.pem

# A time stamp over a file.
echo "a contract" > contract.txt
show openssl ts -query -data contract.txt -sha256 -cert -out query.tsq
show curl --silent --show-error --fail --header 'Content-Type: application/timestamp-query' \
    --data-binary @query.tsq --output reply.tsr "$TSA"
show openssl ts -reply -in reply.tsr -text
show openssl ts -verify -in reply.tsr -queryfile query.tsq -CAfile roots.pem -untrusted unit.pem
# It is over this file alone.
echo "another contract" > another.txt
if openssl ts -verify -in reply.tsr -data another.txt -CAfile roots.pem -untrusted unit.pem; then
    exit 1
fi
echo done
