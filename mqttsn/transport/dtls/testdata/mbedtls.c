// A DTLS client on mbed TLS, for interop_test.go. It reads lines: what it sends
// in a datagram each, and then prints what comes back; but for "rebind", at
// which it goes on from another port. At the end it says goodbye.
//
//	mbedtls PORT IDENTITY KEY
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

static void check(const char *what, int status) {
	if (status < 0) {
		char why[200];
		mbedtls_strerror(status, why, sizeof why);
		fprintf(stderr, "%s: %s\n", what, why);
		exit(1);
	}
}

int main(int argc, char **argv) {
	if (argc != 4) return 2;
	const unsigned char *identity = (unsigned char *)argv[2], *key = (unsigned char *)argv[3];
	static const int suites[] = {MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0};
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_timing_delay_context timer;
	mbedtls_net_context net;
	char line[256];
	int n;

#if MBEDTLS_VERSION_MAJOR >= 3
	if (psa_crypto_init() != PSA_SUCCESS) return 1;
#endif
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&conf);
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	mbedtls_net_init(&net);
	check("seed", mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0));
	check("defaults", mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT));
	mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
	mbedtls_ssl_conf_ciphersuites(&conf, suites);
	mbedtls_ssl_conf_read_timeout(&conf, 20000);
	check("key", mbedtls_ssl_conf_psk(&conf, key, strlen(argv[3]), identity, strlen(argv[2])));
#ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
	check("conf_cid", mbedtls_ssl_conf_cid(&conf, 0, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE));
#endif
	check("setup", mbedtls_ssl_setup(&ssl, &conf));
#ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
	check("set_cid", mbedtls_ssl_set_cid(&ssl, MBEDTLS_SSL_CID_ENABLED, NULL, 0));
#endif
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
	check("connect", mbedtls_net_connect(&net, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_UDP));
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
	check("handshake", mbedtls_ssl_handshake(&ssl));
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "rebind") == 0) {
			mbedtls_net_free(&net);
			check("connect", mbedtls_net_connect(&net, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_UDP));
			continue;
		}
		check("write", mbedtls_ssl_write(&ssl, (unsigned char *)line, strlen(line)));
		check("read", n = mbedtls_ssl_read(&ssl, (unsigned char *)line, sizeof line - 1));
		printf("%.*s\n", n, line);
		fflush(stdout);
	}
	mbedtls_ssl_close_notify(&ssl);
	return 0;
}
