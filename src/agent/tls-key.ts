// Makes the key of a broker certificate, and the request for it.

/** A new P-256 key (PKCS#8 PEM), and a PKCS#10 request (DER) for `commonName` made with it. */
export async function makeTlsKey(commonName: string): Promise<{ keyPem: string; csr: Buffer }> {
  // Needed once in years: not loaded before.
  const [{ generateKey }, { makeRequest }] = await Promise.all([
    import('../crypto/ecdsa.ts'),
    import('../crypto/certificates.ts'),
  ]);
  const { privateKey } = generateKey('p256');
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return { keyPem: keyPem.toString(), csr: makeRequest(commonName, privateKey) };
}
