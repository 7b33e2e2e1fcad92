// Generated from the description of the API by openapi-typescript; `npm run client:types` writes it anew.
// SHA-256 of test/openapi.json: 2f0eec770cfe22196c7271dfca293d55714041b97f1aa039fbdf658fac4e9c3c

export interface paths {
    "/v1/auth/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Register an account and open its first session */
        post: operations["register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Open a session with e-mail or username and password */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Spend a refresh token for a new pair */
        post: operations["refresh"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End the session of the access token, or of the refresh token in the body */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/logout-all": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End all sessions of the caller */
        post: operations["logoutAll"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replace the pair of the caller’s session; the old pair is dead at once */
        post: operations["tokens"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/forgot-password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a link to reset the password, if there is such an account */
        post: operations["forgotPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/reset-password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Spend the token of a reset mail for a new password; ends every session */
        post: operations["resetPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/verify-email": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Spend the token of a mail to confirm its address */
        post: operations["verifyEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/auth/resend-verification": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send the link that confirms an address once more, if it is needed */
        post: operations["resendVerification"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the caller’s account */
        get: operations["showMe"];
        /** Change the caller’s username, name or e-mail address; null clears */
        put: operations["putMe"];
        post?: never;
        /** Delete the caller’s account and everything that belongs to it */
        delete: operations["deleteMe"];
        options?: never;
        head?: never;
        /** Change the caller’s username, name or e-mail address; null clears */
        patch: operations["patchMe"];
        trace?: never;
    };
    "/v1/me/activity": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what has happened to the caller’s account, newest first */
        get: operations["showActivity"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/me/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Change the password; this session gets a new pair, all others end */
        post: operations["changePassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the caller’s open sessions, newest first */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions/current": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the session of the access token */
        get: operations["showCurrentSession"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show one of the caller’s sessions */
        get: operations["showSession"];
        put?: never;
        post?: never;
        /** End one of the caller’s sessions */
        delete: operations["revokeSession"];
        options?: never;
        head?: never;
        /** Name the device of one of the caller’s sessions; null clears */
        patch: operations["renameSession"];
        trace?: never;
    };
    "/v1/sessions/revoke-others": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End all of the caller’s sessions but this one */
        post: operations["revokeOtherSessions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/introspect": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Say whether an access token is live, and whose it is (RFC 7662) */
        post: operations["introspect"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End the session of an access or refresh token (RFC 7009) */
        post: operations["revokeToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/oauth-authorization-server": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say where the OAuth endpoints are (RFC 8414) */
        get: operations["showMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Find people by id, or by what their e-mail address, username or name begins with; newest first */
        get: operations["listUsers"];
        put?: never;
        /** Create an account; its owner gets a mail to choose a password */
        post: operations["createUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/users/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show somebody’s account */
        get: operations["showUser"];
        put?: never;
        post?: never;
        /** Delete somebody’s account and everything that belongs to it */
        delete: operations["deleteUser"];
        options?: never;
        head?: never;
        /** Change somebody’s username, name or role; null clears */
        patch: operations["editUser"];
        trace?: never;
    };
    "/v1/admin/users/{user_id}/disable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Disable an account: all its sessions end, its links are void, nobody logs in */
        post: operations["disableUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/users/{user_id}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Enable an account again; what had ended stays ended */
        post: operations["enableUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/users/{user_id}/password-reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send somebody a link to reset their password */
        post: operations["requestPasswordReset"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/users/{user_id}/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List somebody’s open sessions, newest first */
        get: operations["listUserSessions"];
        put?: never;
        post?: never;
        /** End all of somebody’s sessions */
        delete: operations["endUserSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/sessions/{user_id}/{session_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End one of somebody’s sessions */
        delete: operations["endUserSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what has happened, newest first; all parameters narrow */
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/settings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the runtime settings: what holds now, what held at the start, and what may be */
        get: operations["listSettings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Change runtime settings by their names, all that are named or none; null goes back to the start value */
        patch: operations["changeSettings"];
        trace?: never;
    };
    "/v1/admin/service-clients": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the services that may ask about tokens, revoked ones too; newest first */
        get: operations["listServiceClients"];
        put?: never;
        /** Create credentials for a service; the secret is told once */
        post: operations["createServiceClient"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/admin/service-clients/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke the credentials of a service */
        delete: operations["revokeServiceClient"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/forward-auth": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check the access token for a gateway; tells who it is in headers
         * @description Every method is answered alike, and a body is not read.
         */
        get: operations["forwardAuth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/forward-auth/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The same, for gateways that append the path of the original request
         * @description Every method is answered alike, and a body is not read. The rest of the path may be anything, slashes included.
         */
        get: operations["forwardAuthBelow"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/protected": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Greet the caller: the example of a protected route */
        get: operations["greet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say that the process answers; asks no store */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say whether Redis, PostgreSQL and the migrations are there */
        get: operations["ready"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/version": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say which version of the service this is */
        get: operations["showVersion"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Describe the API in OpenAPI 3.1 */
        get: operations["showDescription"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Activity: {
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            at: string;
            /** @enum {string} */
            event: "account.registered" | "account.created" | "account.imported" | "account.changed" | "account.deleted" | "account.disabled" | "account.enabled" | "role.changed" | "login.succeeded" | "login.failed" | "password.proof_failed" | "limit.reached" | "session.refresh_reused" | "session.ended" | "sessions.ended" | "password.reset_requested" | "password.changed" | "password.reset" | "email.change_requested" | "email.verified" | "email.changed" | "admin.viewed" | "admin.refused" | "setting.changed" | "client.created" | "client.revoked";
            session_id: string | null;
            detail: {
                [key: string]: string | number | boolean | null | string[];
            };
            /** @enum {string} */
            by: "you" | "stranger" | "admin" | "operator" | "service";
            ip: string | null;
            user_agent: string | null;
        };
        ActivityList: {
            items: components["schemas"]["Activity"][];
            next_cursor: string | null;
        };
        ActivityQuery: {
            /** Format: uuid */
            cursor?: string;
            limit?: string;
        };
        AuditEvent: {
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            at: string;
            /** @enum {string} */
            event: "account.registered" | "account.created" | "account.imported" | "account.changed" | "account.deleted" | "account.disabled" | "account.enabled" | "role.changed" | "login.succeeded" | "login.failed" | "password.proof_failed" | "limit.reached" | "session.refresh_reused" | "session.ended" | "sessions.ended" | "password.reset_requested" | "password.changed" | "password.reset" | "email.change_requested" | "email.verified" | "email.changed" | "admin.viewed" | "admin.refused" | "setting.changed" | "client.created" | "client.revoked";
            session_id: string | null;
            detail: {
                [key: string]: string | number | boolean | null | string[];
            };
            user_id: string | null;
            actor: {
                /** @enum {string} */
                kind: "person" | "stranger" | "admin" | "operator" | "service";
                id: string | null;
                ip: string | null;
                user_agent: string | null;
            };
        };
        AuditList: {
            items: components["schemas"]["AuditEvent"][];
            next_cursor: string | null;
        };
        AuditQuery: {
            /** Format: uuid */
            user?: string;
            /** @enum {string} */
            event?: "account.registered" | "account.created" | "account.imported" | "account.changed" | "account.deleted" | "account.disabled" | "account.enabled" | "role.changed" | "login.succeeded" | "login.failed" | "password.proof_failed" | "limit.reached" | "session.refresh_reused" | "session.ended" | "sessions.ended" | "password.reset_requested" | "password.changed" | "password.reset" | "email.change_requested" | "email.verified" | "email.changed" | "admin.viewed" | "admin.refused" | "setting.changed" | "client.created" | "client.revoked";
            /** Format: date-time */
            since?: string;
            /** Format: date-time */
            until?: string;
            /** Format: uuid */
            cursor?: string;
            limit?: string;
        };
        ClientBody: {
            name: string;
        };
        ClientParams: {
            /** Format: uuid */
            id: string;
        };
        DeleteBody: {
            current_password: string;
        };
        Description: {
            /** @constant */
            openapi: "3.1.0";
        } & {
            [key: string]: unknown;
        };
        EmailBody: {
            email: string;
        };
        Greeting: {
            message: string;
            /** Format: uuid */
            user_id: string;
            /** Format: uuid */
            session_id: string;
        };
        Introspection: {
            /** @constant */
            active: true;
            /** Format: uuid */
            sub: string;
            /** Format: uuid */
            sid: string;
            username?: string;
            email: string;
            email_verified: boolean;
            role: string;
            /** @constant */
            token_type: "Bearer";
            iat: number;
            exp: number;
            auth_time: number;
            /** Format: uri */
            iss: string;
        } | {
            /** @constant */
            active: false;
        };
        Live: {
            /** @constant */
            status: "live";
        };
        LoginBody: {
            email?: string;
            username?: string;
            identifier?: string;
            password: string;
            device_name?: string | null;
        };
        LogoutBody: {
            refresh_token?: string;
        };
        MailPromised: {
            message: string;
        };
        NewUserBody: {
            email: string;
            username?: string | null;
            name?: string | null;
            /** @enum {string} */
            role?: "user" | "admin";
        };
        OauthError: {
            /** @enum {string} */
            error: "invalid_request" | "invalid_client";
            error_description: string;
        };
        PasswordBody: {
            current_password: string;
            new_password: string;
        };
        Problem: {
            type: string;
            title: string;
            status: number;
            detail: string;
            /** Format: uuid */
            instance: string;
            /** @enum {string} */
            code: "validation-failed" | "password-refused" | "malformed-request" | "authentication-required" | "invalid-token" | "invalid-credentials" | "invalid-refresh-token" | "invalid-reset-token" | "invalid-token-link" | "invalid-client" | "registration-closed" | "wrong-password" | "email-unverified" | "forbidden" | "not-found" | "method-not-allowed" | "request-timeout" | "email-taken" | "username-taken" | "last-admin" | "payload-too-large" | "uri-too-long" | "unsupported-media-type" | "too-many-attempts" | "headers-too-large" | "internal-error" | "unavailable";
            reason?: string;
            checks?: {
                [key: string]: string;
            };
            errors?: {
                pointer: string;
                detail: string;
            }[];
        };
        ProfileBody: {
            email?: string;
            current_password?: string;
            sign_in_notices?: boolean;
            username?: string | null;
            name?: string | null;
        };
        Ready: {
            /** @constant */
            status: "ready";
            checks: {
                /** @enum {string} */
                redis: "ok" | "evicts" | "partial";
                /** @constant */
                postgres: "ok";
                /** @constant */
                migrations: "ok";
                /** @enum {string} */
                mail: "ok" | "degraded" | "off";
            };
        };
        RefreshBody: {
            refresh_token: string;
        };
        RegisterBody: {
            email: string;
            password: string;
            password_confirmation?: string;
            username?: string | null;
            name?: string | null;
            device_name?: string | null;
        };
        ResetBody: {
            token: string;
            new_password: string;
        };
        Revoked: {
            revoked: number;
        };
        ServerMetadata: {
            /** Format: uri */
            issuer: string;
            /** Format: uri */
            introspection_endpoint: string;
            introspection_endpoint_auth_methods_supported: [
                "client_secret_basic"
            ];
            /** Format: uri */
            revocation_endpoint: string;
            revocation_endpoint_auth_methods_supported: [
                "none"
            ];
            response_types_supported: unknown[];
            grant_types_supported: unknown[];
        };
        ServiceClient: {
            /** Format: uuid */
            id: string;
            name: string;
            /** Format: date-time */
            created_at: string;
            created_by: string | null;
            last_used_at: string | null;
            revoked_at: string | null;
        };
        ServiceClientList: {
            items: components["schemas"]["ServiceClient"][];
            next_cursor: null;
        };
        ServiceClientWithSecret: {
            /** Format: uuid */
            id: string;
            name: string;
            /** Format: date-time */
            created_at: string;
            created_by: string | null;
            last_used_at: string | null;
            revoked_at: string | null;
            secret: string;
        };
        Session: {
            /** Format: uuid */
            id: string;
            current: boolean;
            device_name: string | null;
            ip: string | null;
            user_agent: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            last_seen_at: string;
            /** Format: date-time */
            idle_expires_at: string;
            /** Format: date-time */
            expires_at: string;
        };
        SessionBody: {
            device_name: string | null;
        };
        SessionList: {
            items: components["schemas"]["Session"][];
            next_cursor: string | null;
        };
        SessionParams: {
            /** Format: uuid */
            id: string;
        };
        Setting: {
            /** @enum {string} */
            name: "access_token_ttl_seconds" | "session_idle_ttl_seconds" | "session_absolute_ttl_seconds" | "refresh_grace_seconds" | "refresh_reuse_window_seconds" | "sessions_per_user_max" | "reset_token_ttl_seconds" | "verification_token_ttl_seconds" | "password_min_length" | "wrong_passwords_max" | "wrong_passwords_window_seconds" | "logins_per_address_max" | "logins_per_address_window_seconds" | "registrations_per_address_max" | "registrations_per_address_window_seconds" | "wrong_tokens_per_address_max" | "wrong_tokens_per_address_window_seconds" | "mail_requests_per_address_max" | "mail_requests_per_address_window_seconds" | "mails_per_person_max" | "mails_per_person_window_seconds" | "sign_in_notices" | "audit_retention_days";
            /** @enum {string} */
            type: "integer" | "boolean";
            value: number | boolean;
            start_value: number | boolean;
            bounds: {
                min: number;
                max: number;
            } | null;
            meaning: string;
            changed_at: string | null;
            changed_by: string | null;
        };
        SettingList: {
            items: components["schemas"]["Setting"][];
            next_cursor: null;
        };
        SettingsBody: {
            [key: string]: unknown;
        };
        TokenForm: {
            token: string;
            token_type_hint?: string;
        };
        TokenResponse: {
            /** Format: uuid */
            access_token: string;
            /** @constant */
            token_type: "Bearer";
            expires_in: number;
            /** Format: uuid */
            refresh_token: string;
            refresh_expires_in: number;
            session: components["schemas"]["Session"];
            user: components["schemas"]["User"];
        };
        User: {
            /** Format: uuid */
            id: string;
            email: string;
            email_verified: boolean;
            pending_email: string | null;
            sign_in_notices: boolean;
            username: string | null;
            name: string | null;
            /** @enum {string} */
            role: "user" | "admin";
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        UserBody: {
            username?: string | null;
            name?: string | null;
            /** @enum {string} */
            role?: "user" | "admin";
        };
        UserForAdmins: {
            /** Format: uuid */
            id: string;
            email: string;
            email_verified: boolean;
            pending_email: string | null;
            sign_in_notices: boolean;
            username: string | null;
            name: string | null;
            /** @enum {string} */
            role: "user" | "admin";
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
            disabled_at: string | null;
        };
        UserList: {
            items: components["schemas"]["UserForAdmins"][];
            next_cursor: string | null;
        };
        UserParams: {
            /** Format: uuid */
            user_id: string;
        };
        UserSessionParams: {
            /** Format: uuid */
            user_id: string;
            /** Format: uuid */
            session_id: string;
        };
        UsersQuery: {
            query?: string;
            cursor?: string;
            limit?: string;
        };
        VerifyBody: {
            token: string;
        };
        Version: {
            /** @constant */
            name: "latchkey";
            version: string;
        };
    };
    responses: {
        /** @description Something went wrong here. */
        "internal-error": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "internal-error";
                };
            };
        };
        /** @description This password cannot be used. Some members are not valid. The request could not be read. */
        "password-refused.validation-failed.malformed-request": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "password-refused" | "validation-failed" | "malformed-request";
                };
            };
        };
        /** @description Registration is closed. */
        "registration-closed": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "registration-closed";
                };
            };
        };
        /** @description This e-mail address has an account already. This username is taken. */
        "email-taken.username-taken": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "email-taken" | "username-taken";
                };
            };
        };
        /** @description Too many attempts. */
        "too-many-attempts": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "too-many-attempts";
                };
            };
        };
        /** @description The body is too large. */
        "payload-too-large": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "payload-too-large";
                };
            };
        };
        /** @description This kind of body is not understood. */
        "unsupported-media-type": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "unsupported-media-type";
                };
            };
        };
        /** @description The URL is too long. */
        "uri-too-long": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "uri-too-long";
                };
            };
        };
        /** @description The service cannot answer right now. */
        unavailable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "unavailable";
                };
            };
        };
        /** @description These credentials do not match. */
        "invalid-credentials": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "invalid-credentials";
                };
            };
        };
        /** @description The e-mail address is not confirmed yet. */
        "email-unverified": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "email-unverified";
                };
            };
        };
        /** @description Some members are not valid. The request could not be read. */
        "validation-failed.malformed-request": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "validation-failed" | "malformed-request";
                };
            };
        };
        /** @description The refresh token is not valid. */
        "invalid-refresh-token": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "invalid-refresh-token";
                };
            };
        };
        /** @description An access token is needed. The access token is not valid. */
        "authentication-required.invalid-token": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "authentication-required" | "invalid-token";
                };
            };
        };
        /** @description This link cannot be used. This password cannot be used. Some members are not valid. The request could not be read. */
        "invalid-reset-token.password-refused.validation-failed.malformed-request": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "invalid-reset-token" | "password-refused" | "validation-failed" | "malformed-request";
                };
            };
        };
        /** @description This link cannot be used. Some members are not valid. The request could not be read. */
        "invalid-token-link.validation-failed.malformed-request": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "invalid-token-link" | "validation-failed" | "malformed-request";
                };
            };
        };
        /** @description This e-mail address has an account already. */
        "email-taken": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "email-taken";
                };
            };
        };
        /** @description This username is taken. This e-mail address has an account already. */
        "username-taken.email-taken": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "username-taken" | "email-taken";
                };
            };
        };
        /** @description The current password is not right. */
        "wrong-password": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "wrong-password";
                };
            };
        };
        /** @description Some members are not valid. */
        "validation-failed": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "validation-failed";
                };
            };
        };
        /** @description This is the last admin. */
        "last-admin": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "last-admin";
                };
            };
        };
        /** @description There is nothing here. */
        "not-found": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "not-found";
                };
            };
        };
        /** @description These are not the credentials of a service. */
        "invalid-client": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "invalid-client";
                };
            };
        };
        /** @description Only admins may do this. */
        forbidden: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "forbidden";
                };
            };
        };
        /** @description This username is taken. This is the last admin. */
        "username-taken.last-admin": {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["Cache-Control"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "username-taken" | "last-admin";
                };
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description Names this request; the log has it too. */
        "X-Request-Id": string;
        /** @description Nothing of this API may be stored. */
        "Cache-Control": "no-store";
        /** @description How to authenticate. */
        "WWW-Authenticate": string;
        /** @description Seconds after which it makes sense to try again. */
        "Retry-After": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    register: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "password": "correct horse battery staple",
                 *       "username": "ada",
                 *       "name": "Ada Lovelace",
                 *       "device_name": "laptop"
                 *     }
                 */
                "application/json": components["schemas"]["RegisterBody"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description Where the account is, once it was created. */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70",
                     *       "refresh_expires_in": 604800,
                     *       "session": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "current": true,
                     *         "device_name": "laptop",
                     *         "ip": "203.0.113.7",
                     *         "user_agent": "curl/8.5.0",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *         "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *         "expires_at": "2026-01-01T00:00:00.000Z"
                     *       },
                     *       "user": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "email": "ada@example.com",
                     *         "email_verified": true,
                     *         "pending_email": null,
                     *         "sign_in_notices": true,
                     *         "username": "ada",
                     *         "name": "Ada Lovelace",
                     *         "role": "user",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "updated_at": "2026-01-01T00:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            /** @description Taken; the rest comes by mail. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description Where the account is, once it was created. */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "A mail is on its way."
                     *     }
                     */
                    "application/json": components["schemas"]["MailPromised"];
                };
            };
            400: components["responses"]["password-refused.validation-failed.malformed-request"];
            403: components["responses"]["registration-closed"];
            409: components["responses"]["email-taken.username-taken"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "password": "correct horse battery staple"
                 *     }
                 */
                "application/json": components["schemas"]["LoginBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70",
                     *       "refresh_expires_in": 604800,
                     *       "session": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "current": true,
                     *         "device_name": "laptop",
                     *         "ip": "203.0.113.7",
                     *         "user_agent": "curl/8.5.0",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *         "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *         "expires_at": "2026-01-01T00:00:00.000Z"
                     *       },
                     *       "user": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "email": "ada@example.com",
                     *         "email_verified": true,
                     *         "pending_email": null,
                     *         "sign_in_notices": true,
                     *         "username": "ada",
                     *         "name": "Ada Lovelace",
                     *         "role": "user",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "updated_at": "2026-01-01T00:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["invalid-credentials"];
            403: components["responses"]["email-unverified"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    refresh: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70"
                 *     }
                 */
                "application/json": components["schemas"]["RefreshBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description `true` when this is the pair that an earlier call with the same token was given. */
                    "Refresh-Replayed"?: string;
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70",
                     *       "refresh_expires_in": 604800,
                     *       "session": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "current": true,
                     *         "device_name": "laptop",
                     *         "ip": "203.0.113.7",
                     *         "user_agent": "curl/8.5.0",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *         "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *         "expires_at": "2026-01-01T00:00:00.000Z"
                     *       },
                     *       "user": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "email": "ada@example.com",
                     *         "email_verified": true,
                     *         "pending_email": null,
                     *         "sign_in_notices": true,
                     *         "username": "ada",
                     *         "name": "Ada Lovelace",
                     *         "role": "user",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "updated_at": "2026-01-01T00:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["invalid-refresh-token"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70"
                 *     }
                 */
                "application/json": components["schemas"]["LogoutBody"];
            };
        };
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    logoutAll: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "revoked": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Revoked"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70",
                     *       "refresh_expires_in": 604800,
                     *       "session": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "current": true,
                     *         "device_name": "laptop",
                     *         "ip": "203.0.113.7",
                     *         "user_agent": "curl/8.5.0",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *         "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *         "expires_at": "2026-01-01T00:00:00.000Z"
                     *       },
                     *       "user": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "email": "ada@example.com",
                     *         "email_verified": true,
                     *         "pending_email": null,
                     *         "sign_in_notices": true,
                     *         "username": "ada",
                     *         "name": "Ada Lovelace",
                     *         "role": "user",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "updated_at": "2026-01-01T00:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    forgotPassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["EmailBody"];
            };
        };
        responses: {
            /** @description Taken; the rest comes by mail. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "A mail is on its way."
                     *     }
                     */
                    "application/json": components["schemas"]["MailPromised"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    resetPassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                 *       "new_password": "a quite different sentence"
                 *     }
                 */
                "application/json": components["schemas"]["ResetBody"];
            };
        };
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["invalid-reset-token.password-refused.validation-failed.malformed-request"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    verifyEmail: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55"
                 *     }
                 */
                "application/json": components["schemas"]["VerifyBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            400: components["responses"]["invalid-token-link.validation-failed.malformed-request"];
            409: components["responses"]["email-taken"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    resendVerification: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["EmailBody"];
            };
        };
        responses: {
            /** @description Taken; the rest comes by mail. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "A mail is on its way."
                     *     }
                     */
                    "application/json": components["schemas"]["MailPromised"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    putMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "current_password": "correct horse battery staple",
                 *       "sign_in_notices": true,
                 *       "username": "ada",
                 *       "name": "Ada Lovelace"
                 *     }
                 */
                "application/json": components["schemas"]["ProfileBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["wrong-password"];
            409: components["responses"]["username-taken.email-taken"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    deleteMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "current_password": "correct horse battery staple"
                 *     }
                 */
                "application/json": components["schemas"]["DeleteBody"];
            };
        };
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["wrong-password"];
            409: components["responses"]["last-admin"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    patchMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "current_password": "correct horse battery staple",
                 *       "sign_in_notices": true,
                 *       "username": "ada",
                 *       "name": "Ada Lovelace"
                 *     }
                 */
                "application/json": components["schemas"]["ProfileBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["User"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["wrong-password"];
            409: components["responses"]["username-taken.email-taken"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showActivity: {
        parameters: {
            query?: {
                cursor?: string;
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "at": "2026-01-01T00:00:00.000Z",
                     *           "event": "account.registered",
                     *           "session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "detail": {},
                     *           "by": "you",
                     *           "ip": "203.0.113.7",
                     *           "user_agent": "curl/8.5.0"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["ActivityList"];
                };
            };
            400: components["responses"]["validation-failed"];
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    changePassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "current_password": "correct horse battery staple",
                 *       "new_password": "a quite different sentence"
                 *     }
                 */
                "application/json": components["schemas"]["PasswordBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "access_token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                     *       "token_type": "Bearer",
                     *       "expires_in": 900,
                     *       "refresh_token": "9b0c5a7e-0d3f-4c11-b6f4-3a9d2f3c8e70",
                     *       "refresh_expires_in": 604800,
                     *       "session": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "current": true,
                     *         "device_name": "laptop",
                     *         "ip": "203.0.113.7",
                     *         "user_agent": "curl/8.5.0",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *         "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *         "expires_at": "2026-01-01T00:00:00.000Z"
                     *       },
                     *       "user": {
                     *         "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *         "email": "ada@example.com",
                     *         "email_verified": true,
                     *         "pending_email": null,
                     *         "sign_in_notices": true,
                     *         "username": "ada",
                     *         "name": "Ada Lovelace",
                     *         "role": "user",
                     *         "created_at": "2026-01-01T00:00:00.000Z",
                     *         "updated_at": "2026-01-01T00:00:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            400: components["responses"]["password-refused.validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["wrong-password"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    listSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "current": true,
                     *           "device_name": "laptop",
                     *           "ip": "203.0.113.7",
                     *           "user_agent": "curl/8.5.0",
                     *           "created_at": "2026-01-01T00:00:00.000Z",
                     *           "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *           "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *           "expires_at": "2026-01-01T00:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["SessionList"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showCurrentSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "current": true,
                     *       "device_name": "laptop",
                     *       "ip": "203.0.113.7",
                     *       "user_agent": "curl/8.5.0",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *       "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *       "expires_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Session"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "current": true,
                     *       "device_name": "laptop",
                     *       "ip": "203.0.113.7",
                     *       "user_agent": "curl/8.5.0",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *       "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *       "expires_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Session"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            404: components["responses"]["not-found"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    revokeSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    renameSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "device_name": "laptop"
                 *     }
                 */
                "application/json": components["schemas"]["SessionBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "current": true,
                     *       "device_name": "laptop",
                     *       "ip": "203.0.113.7",
                     *       "user_agent": "curl/8.5.0",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *       "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *       "expires_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["Session"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    revokeOtherSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "revoked": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Revoked"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    introspect: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                 *       "token_type_hint": "access_token"
                 *     }
                 */
                "application/x-www-form-urlencoded": components["schemas"]["TokenForm"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "active": true,
                     *       "sub": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "sid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "username": "ada",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "role": "user",
                     *       "token_type": "Bearer",
                     *       "iat": 1767225600,
                     *       "exp": 1767226500,
                     *       "auth_time": 1767225600,
                     *       "iss": "https://auth.example.com"
                     *     }
                     */
                    "application/json": components["schemas"]["Introspection"];
                };
            };
            /** @description An error as OAuth 2.0 has it (RFC 6749 section 5.2). */
            400: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": "invalid_request",
                     *       "error_description": "Correct the members named in errors and send the request again."
                     *     }
                     */
                    "application/json": components["schemas"]["OauthError"];
                };
            };
            /** @description An error as OAuth 2.0 has it (RFC 6749 section 5.2). */
            401: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": "invalid_client",
                     *       "error_description": "Send the id and the secret of a service client as HTTP Basic credentials."
                     *     }
                     */
                    "application/json": components["schemas"]["OauthError"];
                };
            };
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "2f1d7c9e-4b7a-4a53-8a1e-6a0f3a1b9c55",
                 *       "token_type_hint": "access_token"
                 *     }
                 */
                "application/x-www-form-urlencoded": components["schemas"]["TokenForm"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error as OAuth 2.0 has it (RFC 6749 section 5.2). */
            400: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": "invalid_request",
                     *       "error_description": "Correct the members named in errors and send the request again."
                     *     }
                     */
                    "application/json": components["schemas"]["OauthError"];
                };
            };
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showMetadata: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "issuer": "https://auth.example.com",
                     *       "introspection_endpoint": "https://auth.example.com",
                     *       "introspection_endpoint_auth_methods_supported": [
                     *         "client_secret_basic"
                     *       ],
                     *       "revocation_endpoint": "https://auth.example.com",
                     *       "revocation_endpoint_auth_methods_supported": [
                     *         "none"
                     *       ],
                     *       "response_types_supported": [],
                     *       "grant_types_supported": []
                     *     }
                     */
                    "application/json": components["schemas"]["ServerMetadata"];
                };
            };
            414: components["responses"]["uri-too-long"];
            default: components["responses"]["internal-error"];
        };
    };
    listUsers: {
        parameters: {
            query?: {
                query?: string;
                cursor?: string;
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "email": "ada@example.com",
                     *           "email_verified": true,
                     *           "pending_email": null,
                     *           "sign_in_notices": true,
                     *           "username": "ada",
                     *           "name": "Ada Lovelace",
                     *           "role": "user",
                     *           "created_at": "2026-01-01T00:00:00.000Z",
                     *           "updated_at": "2026-01-01T00:00:00.000Z",
                     *           "disabled_at": "2026-01-01T00:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["UserList"];
                };
            };
            400: components["responses"]["validation-failed"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    createUser: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ada@example.com",
                 *       "username": "ada",
                 *       "name": "Ada Lovelace",
                 *       "role": "user"
                 *     }
                 */
                "application/json": components["schemas"]["NewUserBody"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description Where the account is. */
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z",
                     *       "disabled_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["UserForAdmins"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            409: components["responses"]["email-taken.username-taken"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z",
                     *       "disabled_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["UserForAdmins"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    deleteUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            409: components["responses"]["last-admin"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    editUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "username": "ada",
                 *       "name": "Ada Lovelace",
                 *       "role": "user"
                 *     }
                 */
                "application/json": components["schemas"]["UserBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z",
                     *       "disabled_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["UserForAdmins"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            409: components["responses"]["username-taken.last-admin"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    disableUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z",
                     *       "disabled_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["UserForAdmins"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            409: components["responses"]["last-admin"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    enableUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "email": "ada@example.com",
                     *       "email_verified": true,
                     *       "pending_email": null,
                     *       "sign_in_notices": true,
                     *       "username": "ada",
                     *       "name": "Ada Lovelace",
                     *       "role": "user",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "updated_at": "2026-01-01T00:00:00.000Z",
                     *       "disabled_at": "2026-01-01T00:00:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["UserForAdmins"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    requestPasswordReset: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Taken; the rest comes by mail. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "A mail is on its way."
                     *     }
                     */
                    "application/json": components["schemas"]["MailPromised"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    listUserSessions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "current": true,
                     *           "device_name": "laptop",
                     *           "ip": "203.0.113.7",
                     *           "user_agent": "curl/8.5.0",
                     *           "created_at": "2026-01-01T00:00:00.000Z",
                     *           "last_seen_at": "2026-01-01T00:00:00.000Z",
                     *           "idle_expires_at": "2026-01-01T00:00:00.000Z",
                     *           "expires_at": "2026-01-01T00:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["SessionList"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    endUserSessions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "revoked": 3
                     *     }
                     */
                    "application/json": components["schemas"]["Revoked"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    endUserSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
                session_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    listAudit: {
        parameters: {
            query?: {
                user?: string;
                event?: "account.registered" | "account.created" | "account.imported" | "account.changed" | "account.deleted" | "account.disabled" | "account.enabled" | "role.changed" | "login.succeeded" | "login.failed" | "password.proof_failed" | "limit.reached" | "session.refresh_reused" | "session.ended" | "sessions.ended" | "password.reset_requested" | "password.changed" | "password.reset" | "email.change_requested" | "email.verified" | "email.changed" | "admin.viewed" | "admin.refused" | "setting.changed" | "client.created" | "client.revoked";
                since?: string;
                until?: string;
                cursor?: string;
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "at": "2026-01-01T00:00:00.000Z",
                     *           "event": "account.registered",
                     *           "session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "detail": {},
                     *           "user_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "actor": {
                     *             "kind": "person",
                     *             "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *             "ip": "203.0.113.7",
                     *             "user_agent": "curl/8.5.0"
                     *           }
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["AuditList"];
                };
            };
            400: components["responses"]["validation-failed"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    listSettings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "access_token_ttl_seconds",
                     *           "type": "integer",
                     *           "value": 900,
                     *           "start_value": 900,
                     *           "bounds": {
                     *             "min": 1,
                     *             "max": 1
                     *           },
                     *           "meaning": "How long an access token lives.",
                     *           "changed_at": "2026-01-01T00:00:00.000Z",
                     *           "changed_by": "7c9e6679-7425-40de-944b-e07fc1f90ae7"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["SettingList"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    changeSettings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "access_token_ttl_seconds": 600
                 *     }
                 */
                "application/json": components["schemas"]["SettingsBody"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "name": "access_token_ttl_seconds",
                     *           "type": "integer",
                     *           "value": 900,
                     *           "start_value": 900,
                     *           "bounds": {
                     *             "min": 1,
                     *             "max": 1
                     *           },
                     *           "meaning": "How long an access token lives.",
                     *           "changed_at": "2026-01-01T00:00:00.000Z",
                     *           "changed_by": "7c9e6679-7425-40de-944b-e07fc1f90ae7"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["SettingList"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    listServiceClients: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "items": [
                     *         {
                     *           "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "name": "Ada Lovelace",
                     *           "created_at": "2026-01-01T00:00:00.000Z",
                     *           "created_by": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *           "last_used_at": "2026-01-01T00:00:00.000Z",
                     *           "revoked_at": "2026-01-01T00:00:00.000Z"
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": components["schemas"]["ServiceClientList"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    createServiceClient: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Ada Lovelace"
                 *     }
                 */
                "application/json": components["schemas"]["ClientBody"];
            };
        };
        responses: {
            /** @description Created. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "name": "Ada Lovelace",
                     *       "created_at": "2026-01-01T00:00:00.000Z",
                     *       "created_by": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "last_used_at": "2026-01-01T00:00:00.000Z",
                     *       "revoked_at": "2026-01-01T00:00:00.000Z",
                     *       "secret": "qN2v0b7nS3mU0q1JZ5wq9lF8Yw1dC6kE4rT2xB7zA0s"
                     *     }
                     */
                    "application/json": components["schemas"]["ServiceClientWithSecret"];
                };
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    revokeServiceClient: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; there is nothing to tell. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["validation-failed.malformed-request"];
            401: components["responses"]["authentication-required.invalid-token"];
            403: components["responses"]["forbidden"];
            404: components["responses"]["not-found"];
            413: components["responses"]["payload-too-large"];
            414: components["responses"]["uri-too-long"];
            415: components["responses"]["unsupported-media-type"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    forwardAuth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description The id of the person. */
                    "X-Auth-User"?: string;
                    /** @description Their e-mail address. */
                    "X-Auth-Email"?: string;
                    /** @description Whether they have confirmed it: `true` or `false`. */
                    "X-Auth-Email-Verified"?: string;
                    /** @description Their username, or nothing. */
                    "X-Auth-Username"?: string;
                    /** @description `user` or `admin`. */
                    "X-Auth-Role"?: string;
                    /** @description The id of the session. */
                    "X-Auth-Session"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    forwardAuthBelow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    /** @description The id of the person. */
                    "X-Auth-User"?: string;
                    /** @description Their e-mail address. */
                    "X-Auth-Email"?: string;
                    /** @description Whether they have confirmed it: `true` or `false`. */
                    "X-Auth-Email-Verified"?: string;
                    /** @description Their username, or nothing. */
                    "X-Auth-Username"?: string;
                    /** @description `user` or `admin`. */
                    "X-Auth-Role"?: string;
                    /** @description The id of the session. */
                    "X-Auth-Session"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    greet: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "message": "A mail is on its way.",
                     *       "user_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                     *       "session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7"
                     *     }
                     */
                    "application/json": components["schemas"]["Greeting"];
                };
            };
            401: components["responses"]["authentication-required.invalid-token"];
            414: components["responses"]["uri-too-long"];
            429: components["responses"]["too-many-attempts"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    live: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "live"
                     *     }
                     */
                    "application/json": components["schemas"]["Live"];
                };
            };
            414: components["responses"]["uri-too-long"];
            default: components["responses"]["internal-error"];
        };
    };
    ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready",
                     *       "checks": {
                     *         "redis": "ok",
                     *         "postgres": "ok",
                     *         "migrations": "ok",
                     *         "mail": "ok"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["Ready"];
                };
            };
            414: components["responses"]["uri-too-long"];
            503: components["responses"]["unavailable"];
            default: components["responses"]["internal-error"];
        };
    };
    showVersion: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "name": "latchkey",
                     *       "version": "1.0.0"
                     *     }
                     */
                    "application/json": components["schemas"]["Version"];
                };
            };
            414: components["responses"]["uri-too-long"];
            default: components["responses"]["internal-error"];
        };
    };
    showDescription: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "openapi": "3.1.0"
                     *     }
                     */
                    "application/json": components["schemas"]["Description"];
                };
            };
            414: components["responses"]["uri-too-long"];
            default: components["responses"]["internal-error"];
        };
    };
}
