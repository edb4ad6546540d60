"""Made-up credentials of every common kind, and what only looks like one.

Drawn with a fixed seed and put together from pieces, so that no file of this repository holds
anything that a scanner of keys would take for one. None of them opens anything.
"""

import base64
import json
import random
import string
from functools import partial

_LOT = random.Random(20)
ALNUM = string.ascii_letters + string.digits
URL = ALNUM + "_-"
HEX = "0123456789abcdef"


def of(alphabet: str, count: int) -> str:
    return "".join(_LOT.choices(alphabet, k=count))


def _uuid() -> str:
    return "-".join(of(HEX, n) for n in (8, 4, 4, 4, 12))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _pem(kind: str) -> str:
    dashes = "-" * 5
    body = "\n".join(of(ALNUM + "+/", 64) for _ in range(4))
    return f"{dashes}BEGIN {kind}PRIVATE KEY{dashes}\n{body}\n{dashes}END {kind}PRIVATE KEY{dashes}"


def _jwt() -> str:
    head = _b64('{"alg":"HS256","typ":"JWT"}').rstrip("=")
    return f"{head}.{_b64(json.dumps({'sub': of(ALNUM, 12), 'exp': 1})).rstrip('=')}.{of(URL, 43)}"


def samples() -> dict[str, str]:
    """A text with one credential, by the name of its kind."""
    a, u, h = (partial(of, alphabet) for alphabet in (ALNUM, URL, HEX))
    upper = string.ascii_uppercase + string.digits
    password = f"hT7{of(ALNUM, 9)}"
    return {
        "openai": "sk-" + a(48),
        "openai project": "sk-" + "proj-" + u(120),
        "openai service account": "sk-" + "svcacct-" + u(120),
        "anthropic": "sk-" + "ant-api03-" + u(93) + "AA",
        "openrouter": "sk-" + "or-v1-" + h(64),
        "deepseek": "sk-" + h(32),
        "google api": "AIza" + u(35),
        "google service account": json.dumps({"private_key": _pem(""), "type": "service_account"}),
        "google oauth": "ya29" + ".a0" + u(120),
        "google client secret": "GOCSPX" + "-" + u(28),
        "azure storage": f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={a(86)}==;",
        "azure sas": f"https://x.blob.core.windows.net/c?sv=2024-11-04&sp=r&sig={a(40)}%2B{a(3)}%3D",
        "azure client secret": a(3) + "8Q~" + u(34),
        "azure openai": a(52) + "JQQJ99" + a(26),
        "aws access key": "AKIA" + of(upper, 16),
        "aws session key": "ASIA" + of(upper, 16),
        "aws secret": f"aws_secret_access_key = {of(ALNUM + '+/', 40)}",
        "hugging face": "hf_" + of(string.ascii_letters, 34),
        "hugging face organisation": "api_org_" + of(string.ascii_letters, 34),
        "github classic": "ghp_" + a(36),
        "github oauth": "gho_" + a(36),
        "github user": "ghu_" + a(36),
        "github server": "ghs_" + a(36),
        "github refresh": "ghr_" + a(36),
        "github fine-grained": "github_pat_" + a(22) + "_" + a(59),
        "gitlab": "glpat-" + u(20),
        "gitlab deploy": "gldt-" + u(20),
        "gitlab runner": "glrt-" + u(20),
        "slack bot": "xoxb-" + of("123456789", 12) + "-" + of("123456789", 12) + "-" + a(24),
        "slack user": "xoxp-" + of("123456789", 12) + "-" + of("123456789", 12) + "-" + h(32),
        "slack app": "xapp-1-A" + of(upper, 10) + "-" + of("123456789", 13) + "-" + h(64),
        "slack address": "https://hooks.slack.com/services/T"
        + f"{of(upper, 8)}/B{of(upper, 8)}/{a(24)}",
        "stripe": "sk_live_" + a(24),
        "stripe restricted": "rk_live_" + a(24),
        "stripe webhook": "whsec_" + a(32),
        "twilio": "SK" + h(32),
        "twilio account": "AC" + h(32),
        "sendgrid": "SG." + u(22) + "." + u(43),
        "mailgun": "key-" + h(32),
        "mailchimp": h(32) + "-us12",
        "npm": "npm_" + a(36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + u(120),
        "docker": "dckr_pat_" + u(27),
        "digitalocean": "dop_v1_" + h(64),
        "heroku": f"HEROKU_API_KEY={_uuid()}",
        "discord bot": _b64(of("123456789", 18)) + "." + u(6) + "." + u(38),
        "discord address": f"https://discord.com/api/webhooks/{of('123456789', 18)}/{u(68)}",
        "telegram": of("123456789", 10) + ":AA" + u(33),
        "shopify": "shpat_" + h(32),
        "square": "sq0atp-" + u(22),
        "databricks": "dapi" + h(32),
        "groq": "gsk_" + a(52),
        "xai": "xai-" + a(80),
        "nvidia": "nvapi-" + u(64),
        "fireworks": "fw_" + a(24),
        "together": "tgp_v1_" + u(43),
        "replicate": "r8_" + a(37),
        "perplexity": "pplx-" + a(48),
        "cerebras": "csk-" + of(string.ascii_lowercase + string.digits, 48),
        "mistral": f"MISTRAL_API_KEY={a(32)}",
        "cohere": f"co = cohere.Client(api_key='{a(40)}')",
        "weights and biases": f"WANDB_API_KEY={h(40)}",
        "comet": f'os.environ["COMET_API_KEY"] = "{a(25)}"',
        "langfuse": "sk-lf-" + _uuid(),
        "langsmith": "lsv2_pt_" + h(32) + "_" + h(10),
        "pinecone": "pcsk_" + a(6) + "_" + a(58),
        "weaviate": f"weaviate_api_key: {a(36)}",
        "linear": "lin_api_" + a(40),
        "notion": "ntn_" + a(46),
        "notion internal": "secret_" + a(43),
        "airtable": "pat" + a(14) + "." + h(64),
        "figma": "figd_" + u(40),
        "vault": "hvs." + u(95),
        "doppler": "dp.pt." + a(43),
        "jwt": _jwt(),
        "rsa": _pem("RSA "),
        "ec": _pem("EC "),
        "dsa": _pem("DSA "),
        "openssh": _pem("OPENSSH "),
        "encrypted": _pem("ENCRYPTED "),
        "pgp": _pem("PGP ").replace("PRIVATE KEY", "PRIVATE KEY BLOCK"),
        "pem in base64": f"client-key-data: {_b64(_pem('RSA '))}",
        "putty": "PuTTY-User-Key" + f"-File-3: ssh-rsa\nPrivate-Lines: 1\n{a(64)}",
        "age": "AGE-SECRET-KEY-1" + of(upper, 58),
        "json web key": f'{{"kty": "EC", "crv": "P-256", "d": "{u(43)}"}}',
        "address": f"https://ada:{password}@git.lovelace.org/engine.git",
        "database": f"postgres://ada:{password}@db.lovelace.org:5432/notes",
        "cache": f"redis://:{password}@10.0.0.7:6379/0",
        "bearer": f"Authorization: Bearer {a(40)}",
        "basic": f"Authorization: Basic {_b64('ada:' + password)}",
        "netrc": f"machine lovelace.org login ada password {password}",
        "connection string": f"Server=db;User Id=ada;Password={password};",
        "curl": f"curl -s -u ada:{password} https://lovelace.org",
        "api key": f"API_KEY={a(32)}",
        "parameter": f"https://api.lovelace.org/v1?api_key={a(32)}&page=2",
        "cookie": f"Cookie: sessionid={a(32)}; theme=dark",
        "docker login": f'{{"auth": "{_b64("ada:" + password)}"}}',
        "command line login": f"wandb login {h(40)}",
        "telegram address": f"https://api.telegram.org/bot{of('123456789', 10)}:AA{u(33)}/getMe",
        "sshpass": f"sshpass -p '{password}' ssh ada@lovelace.org",
        "letters alone": f"secret: '{of(string.ascii_letters, 32)}'",
        "quoted secret": f"client_secret: '{a(24)}'",
        "password": f'"password": "{of(ALNUM + "!#$", 18)}7a"',
        "flag": f"tool --api-key {a(32)} run",
        "said": f"the API key is {a(32)}, keep it",
        "header": f'headers = {{"X-Api-Key": "{a(32)}"}}',
        "grafana": "glsa_" + a(32) + "_" + h(8),
        "new relic": "NRAK-" + of(upper, 27),
        "sentry": "sntrys_" + a(80),
        "supabase": "sbp_" + h(40),
        "tailscale": "tskey-auth-" + a(16) + "-" + a(32),
        "terraform": a(14) + ".atlasv1." + u(67),
        "postman": "PMAK-" + h(24) + "-" + h(34),
        "atlassian": "ATATT3xFfGF0" + u(170) + "=" + of(HEX.upper(), 8),
        "rubygems": "rubygems_" + h(48),
        "hubspot": "pat-na1-" + _uuid(),
        "elevenlabs": "sk_" + h(48),
        "zhipu": h(32) + "." + a(16),
        "alibaba": "LTAI5t" + a(18),
        "tavily": "tvly-" + a(32),
        "google api of 2025": "AQ" + ".Ab8RN6" + u(45),
        "novita": "sk_" + u(43),
        "hugging face login": "hf_oauth_" + "eyJ" + u(80),
        "kaggle": "KGAT_" + h(32),
        "cloud messages": "AAAA" + a(7) + ":APA91b" + u(134),
        "pager": f"Authorization: Token token={a(20)}",
        "okta": f"Authorization: SSWS 00{a(40)}",
        "signed by google": f"https://storage.googleapis.com/b/o?X-Goog-Signature={h(512)}",
        "signed by cloudfront": f"https://d1.cloudfront.net/x?Expires=1&Signature={a(300)}__",
        "yandex": "AQVN" + u(36),
        "yandex login": "y0_" + u(55),
        "vk": "vk1" + ".a." + u(180),
        "facebook": "EAA" + a(150),
        "instagram": "IGQVJ" + u(150),
        "linkedin": "WPL_AP1." + a(16) + "." + a(6) + "==",
        "twitch": "oauth:" + of(string.ascii_lowercase + string.digits, 30),
        "matrix": "syt_" + a(12) + "_" + a(20) + "_" + a(6),
        "trello": "ATTA" + h(64),
        "woocommerce": "ck_" + h(40),
        "razorpay": "rzp_live_" + a(14),
        "launchdarkly": "sdk-" + _uuid(),
        "posthog": "phx_" + a(43),
        "elastic": "essu_" + a(80),
        "stytch": "secret-live-" + u(36),
        "old grafana": "eyJrIjoi" + a(80),
        "laravel": f"APP_KEY=base64:{of(ALNUM + '+/', 43)}=",
        "bytes": f"app.secret_key = b'{a(24)}'",
        "attribute": f'<add key="ApiKey" value="{a(32)}" />',
        "cell": f"| api_key | {a(32)} |",
        "php": f"PHPSESSID={a(26)}",
        "escaped json": f"{{\\u0022password\\u0022:\\u0022{a(24)}\\u0022}}",
        "escaped html": f"&quot;password&quot;: &quot;{a(24)}&quot;",
        "escaped address": f"https://x.org/?next=%2Fcb%3Faccess_token%3D{a(32)}",
        "escaped slashes": f"https:\\/\\/ada:{password}@lovelace.org\\/x",
        "escaped letter": f'{{"k": "gl\\u0070at-{u(20)}"}}',
    }


PLACEHOLDERS = (
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-" + "your-openai-api-key-goes-here",
    'api_key = "YOUR_API_KEY"',
    "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx and hf_xxx",
    "ghp_" + "x" * 36,
    "Authorization: Bearer xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "Authorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE",
    "postgres://user:password@localhost:5432/mydb",
    "https://username:password@example.com/path",
    "postgresql://postgres:postgres@db/test",
    'f"postgres://{user}:{password}@{host}/{name}"',
    "mongodb://$USER:$PASSWORD@host/",
    "redis://:password@127.0.0.1:6379",
    'os.environ["OPENAI_API_KEY"]',
    'api_key=os.getenv("DEEPSEEK_API_KEY")',
    'password = "password123"',
    "password = input('Enter your password: ')",
    "token = tokenizer.convert_ids_to_tokens(ids[0])",
    "secret = hashlib.sha256(data).hexdigest()",
    "the token embeddings2vector representation",
    "a risk-free-but-long-hyphenated-word, sk-learn, hf_hub, and the bearer of bad news",
    "sk-learn-compatible-estimators-and-more",
    "https://example.com:8080/@user and git@github.com:ada/engine.git",
    "api_key: abc123def456ghi789jkl012",
    "Basic arithmetic, basic understanding of BasicAuthentication",
    "Password: Passw0rd!2024",
    "key=lambda pair: pair[1], session_key = generate_session_key_v2(user1)",
    "session: TheSessionHandlerFactoryBean and token=MyTokenRefreshInterceptor",
    "sk_" + "model_with_2_hidden_layers_and_a_long_name = build()",
    "secret_message_encoded_2 = encode(secret_message_1)",
)
