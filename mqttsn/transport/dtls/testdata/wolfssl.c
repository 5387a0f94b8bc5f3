// A DTLS client on wolfSSL, for interop_test.go, as mbedtls.c is one.
//
//	wolfssl PORT SUITE AUTHORITY CERTIFICATE KEY
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static void check(WOLFSSL *ssl, const char *what, int status) {
	if (status > 0) return;
	if (!ssl) fprintf(stderr, "%s\n", what), exit(1);
	char why[WOLFSSL_MAX_ERROR_SZ];
	fprintf(stderr, "%s: %s\n", what, wolfSSL_ERR_error_string(wolfSSL_get_error(ssl, status), why));
	exit(1);
}

// call has ssl speak from a port of its own.
static int call(WOLFSSL *ssl, const char *port) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	wolfSSL_dtls_set_peer(ssl, &to, sizeof to);
	wolfSSL_set_fd(ssl, fd);
	return fd;
}

int main(int argc, char **argv) {
	if (argc != 6) return 2;
	char line[256];
	int n;

	wolfSSL_Init();
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
	check(NULL, "authority", wolfSSL_CTX_load_verify_locations(ctx, argv[3], NULL));
	check(NULL, "certificate", wolfSSL_CTX_use_certificate_chain_file(ctx, argv[4]));
	check(NULL, "key", wolfSSL_CTX_use_PrivateKey_file(ctx, argv[5], WOLFSSL_FILETYPE_PEM));
	WOLFSSL *ssl = wolfSSL_new(ctx);
	check(NULL, "new", ssl != NULL);
	check(ssl, "cipher suite", wolfSSL_set_cipher_list(ssl, argv[2]));
#ifdef WOLFSSL_DTLS_CID
	check(ssl, "use_cid", wolfSSL_dtls_cid_use(ssl));
	check(ssl, "set_cid", wolfSSL_dtls_cid_set(ssl, NULL, 0));
#endif
	int fd = call(ssl, argv[1]);
	check(ssl, "handshake", wolfSSL_connect(ssl));
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "rebind") == 0) {
			close(fd);
			fd = call(ssl, argv[1]);
			continue;
		}
		check(ssl, "write", wolfSSL_write(ssl, line, strlen(line)));
		check(ssl, "read", n = wolfSSL_read(ssl, line, sizeof line - 1));
		printf("%.*s\n", n, line);
		fflush(stdout);
	}
	wolfSSL_shutdown(ssl);
	return 0;
}
