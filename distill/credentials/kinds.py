"""The table of credentials: what each kind looks like, and how to tell it from lookalikes.

The shapes are from their makers' documentation, or else from keys that have been seen. Patterns
only use what Python's and polars' engines share: no look-around, no Unicode classes, no negated
ones. A shape that several makers use is one kind, because the owner of the key knows whose it is.
"""

from dataclasses import dataclass
from typing import Literal

# What a match must be to count (see ``doubt``): anything; not a placeholder; not a word either;
# random; a password; base64 of user:password, or of a private key.
Doubt = Literal["none", "placeholder", "token", "random", "password", "basic", "pem"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of credential; the secret is the group ``v``, or else the whole match.

    ``free`` kinds may be anywhere in a word; no letter or digit may touch the others. ``quick`` is
    a wider shape that is faster to search for, and only makes a text suspect.
    """

    name: str
    pattern: str
    doubt: Doubt = "placeholder"
    free: bool = False
    quick: str = ""


_ANY = "[A-Za-z0-9_-]"
_ALNUM = "[A-Za-z0-9]"
_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
# Printable, no space, no quotes; the second also without the ends of a URL's part: / : @ < >
_WORD = "[!#-&(-~]"
_PART = "[!#-&(-.0-9;=?A-~]"

MODELS = (
    # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-v1-), DeepSeek, Moonshot, Langfuse (sk-lf-)
    Kind("a key that begins with sk-", rf"sk-{_ANY}{{20,}}"),
    Kind("a key that begins with sk_", rf"sk_(?P<v>{_ANY}{{32,}})", "random"),  # ElevenLabs, Novita
    Kind("a Cerebras key", rf"csk-{_ALNUM}{{20,}}"),
    Kind("a Groq key", rf"gsk_{_ALNUM}{{20,}}"),
    Kind("an xAI key", rf"xai-{_ALNUM}{{20,}}"),
    Kind("an NVIDIA key", rf"nvapi-{_ANY}{{20,}}"),
    Kind("a Fireworks key", rf"fw_{_ALNUM}{{17,}}"),
    Kind("a Together key", rf"tgp_(?:v1_)?{_ANY}{{16,}}"),
    Kind("a Replicate token", rf"r8_{_ALNUM}{{20,}}"),
    Kind("a Perplexity key", rf"pplx-{_ALNUM}{{20,}}"),
    Kind(
        "a Hugging Face token",
        rf"(?:hf_(?:jwt|oauth)_{_ANY}{{20,}}|(?:hf|api_org)_{_ALNUM}{{20,}})",
    ),
    Kind("a LangSmith key", rf"(?:lsv2_[a-z]{{2}}_{_ALNUM}{{20,}}|ls__{_ALNUM}{{32,}})"),
    Kind("a Pinecone key", r"pcsk_[A-Za-z0-9_]{20,}"),
    Kind("a Weights & Biases key", rf"wandb_v1_{_ANY}{{20,}}"),
    Kind("a Zhipu key", rf"[0-9a-f]{{32}}\.{_ALNUM}{{16}}", quick=r"[0-9a-f]{32}\."),
    Kind(
        "a key of a model host or search",  # Tavily, Jina, LlamaCloud, RunPod, Friendli, Anyscale,
        # Modal, Firecrawl, Kaggle
        rf"(?:tvly-|jina_|llx-|rpa_|flp_|esecret_|wk-|ak-|as-|fc-|KGAT_){_ALNUM}{{22,}}",
    ),
)
CLOUDS = (
    Kind("an AWS access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    Kind("an AWS Bedrock key", r"(?:ABSK|bedrock-api-key-)(?P<v>[A-Za-z0-9+/=]{40,})"),
    Kind("a signed AWS address", r"X-Amz-Signature=[0-9a-f]{64}", "none"),
    Kind("a Google API key", rf"AIza{_ANY}{{30,}}"),
    Kind("a Google API key", rf"AQ\.Ab{_ANY}{{30,}}"),  # since 2025
    Kind("a Google cloud message key", rf"{_ANY}{{11}}:APA91b{_ANY}{{100,}}", quick=":APA91b"),
    Kind(
        "a signed address",  # Google's storage and Amazon's CloudFront
        r"(?:X-Goog-Signature=[0-9a-f]{64,}|[?&;]Signature=[A-Za-z0-9%+/=_~-]{80,})",
        "none",
        free=True,
    ),
    Kind("a Yandex key", rf"(?:AQVN{_ANY}{{35,}}|y[0-3]_{_ANY}{{50,}})"),
    Kind("a Google OAuth token", rf"(?:ya29\.|1//0|GOCSPX-){_ANY}{{20,}}"),
    Kind("a signed Azure address", r"[?&;]sig=(?P<v>[A-Za-z0-9%+/=]{30,})", free=True),
    Kind("an Azure key", rf"{_ALNUM}{{20,64}}JQQJ9{_ALNUM}{{16,}}", quick="JQQJ9"),
    Kind(
        "an Azure client secret",
        r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
        quick="[0-9]Q~",
    ),
    Kind("an Alibaba or Tencent key", rf"(?:LTAI|AKID){_ALNUM}{{16,40}}"),
    Kind("a Baidu key", rf"bce-v3/{_ANY}{{10,}}/[0-9a-f]{{40}}"),
    Kind("a DigitalOcean token", r"do[opr]_v1_[0-9a-f]{32,}"),
    Kind("a Heroku key", rf"HRKU-{_ANY}{{30,}}"),
    Kind("a Databricks token", r"(?:dapi|dose)[0-9a-f]{32}(?:-[0-9])?"),
    Kind("a Cloudflare key", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}"),
    Kind(
        "a hosting token",  # Fly.io, Render, Netlify, Vercel, Supabase, PlanetScale, Tailscale
        r"(?:fm[12]_|fo1_|rnd_|nfp_|vcp_|sbp_|sb_secret_|pscale_(?:tkn|pw|oauth)_|tskey-[a-z]+-)"
        r"[A-Za-z0-9_+/=-]{20,}",
    ),
    Kind("a Terraform token", rf"{_ALNUM}{{14}}\.atlasv1\.{_ANY}{{40,}}", quick=r"\.atlasv1\."),
    Kind("a Pulumi token", r"pul-[0-9a-f]{40}"),
    Kind("a Vault token", rf"hv[sbr]\.{_ANY}{{20,}}"),
    Kind("a Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{20,}"),
    Kind("a 1Password token", rf"ops_eyJ{_ANY}{{40,}}"),
)
CODE = (
    Kind("a GitHub token", rf"(?:gh[pousr]_{_ALNUM}{{20,}}|github_pat_[A-Za-z0-9_]{{22,}})"),
    Kind(
        "a GitLab token",
        rf"(?:gl(?:pat|dt|rt|rtr|ptt|ft|soat|cbt|imt|agent|oas|wt|ffct)-[A-Za-z0-9_.-]{{16,}}"
        rf"|GR1348941{_ANY}{{20,}})",
    ),
    Kind("an Atlassian token", r"(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{20,}"),
    Kind("an npm token", rf"npm_{_ALNUM}{{30,}}"),
    Kind("a PyPI token", rf"pypi-{_ANY}{{40,}}"),
    Kind("a registry token", r"(?:rubygems_[0-9a-f]{40,}|oy2[a-z0-9]{43}|cio[A-Za-z0-9]{32})"),
    Kind("a Docker token", rf"dckr_[po]at_{_ANY}{{20,}}"),
    Kind("an Artifactory key", rf"(?:AKCp|cmVmdGtu){_ALNUM}{{40,}}"),
    Kind("a build or scan token", rf"(?:sq[pua]_|CCIPAT_|bkua_|PMAK-|pnu_|NRAK-){_ANY}{{24,}}"),
    Kind(
        "a monitoring token",  # Grafana, Sentry, Elastic, PostHog
        r"(?:glsa_|glc_|sntry[su]_|eyJrIjoi|ess[up]_|ph[xs]_)[A-Za-z0-9_+/=-]{24,}",
    ),
    Kind("a LaunchDarkly key", rf"(?:sdk|api|mob)-{_UUID}"),
    Kind("a Dynatrace token", r"dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{40,}"),
)
SERVICES = (
    Kind("a Slack token", r"(?:xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9-]{16,}"),
    Kind("a Slack address", r"hooks\.slack\.com/[a-z]{4,}/[A-Za-z0-9_/-]{20,}"),
    Kind("a Teams address", r"webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{40,}"),
    Kind(
        "a Discord address",
        rf"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{{10,}}/{_ANY}{{40,}}",
    ),
    Kind(
        "a Discord token",
        rf"(?:[MNO]{_ANY}{{23,25}}\.{_ANY}{{6}}\.{_ANY}{{27,}}|mfa\.{_ANY}{{60,}})",
        quick=rf"\.{_ANY}{{6}}\.{_ANY}{{27}}|mfa\.{_ANY}{{60}}",
    ),
    Kind("a Telegram token", rf"(?:bot)?[0-9]{{8,10}}:{_ANY}{{35}}", quick=rf":{_ANY}{{35}}"),
    Kind(
        "a Stripe key", rf"(?:[sr]k_(?:live|test|prod)_{_ALNUM}{{12,}}|whsec_[A-Za-z0-9+/=]{{20,}})"
    ),
    Kind("a Square token", rf"(?:sq0[a-z]{{3}}-{_ANY}{{20,}}|EAAA[A-Z]{_ANY}{{55,}})"),
    Kind("a PayPal token", r"access_token\$[a-z]+\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    Kind(
        "a payment key",
        rf"(?:rzp_live_{_ANY}{{14,}}|(?:FLWSECK[_-]|EZAK|shippo_live_){_ANY}{{16,}})",
    ),
    Kind("a Shopify token", rf"shp(?:at|ca|pa|ss)_{_ALNUM}{{20,}}"),
    Kind("a Facebook token", rf"(?:EAACEdEose0cBA{_ALNUM}{{10,}}|EAA{_ALNUM}{{90,}})"),
    Kind("an Instagram token", rf"IG(?:QV|AA){_ANY}{{90,}}"),
    Kind("a VK token", rf"vk1\.a\.{_ANY}{{60,}}"),
    Kind("a LinkedIn secret", rf"WPL_AP1\.{_ALNUM}{{12,}}\.[A-Za-z0-9+/=]{{4,}}"),
    Kind("a Twitch token", r"oauth:[a-z0-9]{30}"),
    Kind("a Matrix token", rf"syt_{_ANY}{{4,}}_{_ALNUM}{{20}}_{_ALNUM}{{6}}"),
    Kind("a Trello token", r"ATTA[0-9a-fA-F]{64}"),
    Kind("a WooCommerce key", r"c[ks]_[0-9a-f]{40}"),
    Kind("a Stytch secret", rf"secret-(?:live|test)-{_ANY}{{30,}}"),
    Kind("a Twitter token", r"A{20,22}[A-Za-z0-9%]{40,}"),
    Kind("a Twilio key", r"(?:SK|AC)[0-9a-f]{32}"),
    Kind("a SendGrid key", rf"SG\.{_ANY}{{16,}}\.{_ANY}{{16,}}"),
    Kind(
        "a Mailgun key",
        rf"(?:key-{_ALNUM}{{32}}|[0-9a-f]{{32}}-[0-9a-f]{{8}}-[0-9a-f]{{8}})",
        quick=rf"key-{_ALNUM}{{32}}|[0-9a-f]{{32}}-",
    ),
    Kind("a Mailchimp key", r"[0-9a-f]{32}-us[0-9]{1,2}", quick="[0-9a-f]{32}-"),
    Kind("a Brevo key", rf"x(?:keysib|smtpsib)-{_ANY}{{40,}}"),
    Kind("a Resend key", rf"re_{_ALNUM}{{8}}_{_ALNUM}{{20,}}"),
    Kind("a Linear key", rf"lin_(?:api|oauth)_{_ALNUM}{{20,}}"),
    Kind("a Notion token", rf"(?:ntn_{_ALNUM}{{30,}}|secret_{_ALNUM}{{40,}})"),
    Kind("an Airtable token", rf"pat{_ALNUM}{{14}}\.[0-9a-f]{{40,}}"),
    Kind("a Figma token", rf"fig[a-z]_{_ANY}{{20,}}"),
    Kind("a HubSpot token", rf"pat-[a-z]{{2}}[0-9]-{_UUID}"),
    Kind("an Asana token", r"[0-9]/[0-9]{10,}(?:/[0-9]{10,})?:[0-9a-f]{32}", quick=":[0-9a-f]{32}"),
    Kind("a Dropbox token", rf"sl\.(?:u\.)?{_ANY}{{60,}}"),
    Kind("a Mapbox token", rf"sk\.eyJ{_ANY}{{20,}}\.{_ANY}{{16,}}"),
    Kind("a Contentful token", rf"CFPAT-{_ANY}{{40,}}"),
)
# Credentials of no one maker, in one word.
TOKENS = (
    # Without its first line, in base64: "openssh-key-v1", then ASN.1 of RSA, EC and Ed25519 keys.
    Kind(
        "a private key",
        r"(?:b3BlbnNzaC1rZXktdjE|MII[A-Za-z0-9+/]{2,3}[AI]IBAAKC|IBADANBgkqhkiG9w0BAQEFAAS"
        r"|M[HI][A-Za-z0-9+/]{1,2}(?:CAQEEI|AgEAMBAGByqGSM49|AgEAMBMGByqGSM49)"
        r"|MC4CAQAwBQYDK2VwBCIEI)[A-Za-z0-9+/]{12,}",
        "none",
        free=True,
    ),
    # base64 of "-----BEGIN ", as in a kubeconfig
    Kind("a private key", r"LS0tLS1CRUdJT(?P<v>[A-Za-z0-9+/]{24,})", "pem", free=True),
    Kind("a PuTTY private key", r"PuTTY-User-Key-File-[0-9]", "none"),
    Kind("an age private key", r"AGE-SECRET-KEY-(?:PQ-)?1(?P<v>[0-9A-Za-z]{20,})"),
    Kind("a wallet's private key", r"[xyztuv]prv[1-9A-HJ-NP-Za-km-z]{100,}"),
    Kind("a JSON web token", rf"eyJ{_ANY}{{8,}}\.{_ANY}{{8,}}\.{_ANY}{{8,}}"),
    Kind("an address with a token", rf"://(?P<v>{_ANY}{{20,200}})@[A-Za-z0-9]", "random", True),
)
# With spaces, quotes or other characters in them. Each is searched for separately, with ``quick``.
PHRASES = (
    Kind(
        "a private key",
        r"----[ -]?[ ]?BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?[ ]?----",
        "none",
        free=True,
    ),
    Kind(
        "a private JSON web key",
        rf"\"d\\?\"[ ]?:[ ]?\\?\"(?P<v>{_ANY}{{40,}})\\?\"",
        free=True,
    ),
    Kind(
        "an address with a password",
        rf"://{_PART}{{0,80}}:(?P<v>{_PART}{{3,200}})@[A-Za-z0-9.\[$]",
        "password",
        free=True,
    ),
    Kind(
        "a login",  # .netrc; connection strings; curl; sshpass
        rf"(?:login[ \t\r\n]{{1,4}}{_WORD}{{1,80}}[ \t\r\n]{{1,4}}password[ \t\r\n]{{1,4}}"
        rf"|(?i:user ?id|uid|user|username)=[!#-%(-:<-~]{{1,80}}[;&][ ]?(?i:password|pwd)="
        rf"|curl [ -~]{{0,200}}(?:-u|--user)[ =][\"']?[A-Za-z0-9@._-]{{1,80}}:"
        rf"|sshpass -p[ ]?[\"']?)"
        rf"(?P<v>[!#-%(-:<-~]{{4,200}})",
        "password",
        quick=r"login[ \t\r\n]{1,4}[!-~]{1,80}[ \t\r\n]{1,4}password"
        r"|curl [ -~]{0,200}(?:-u|--user)[ =]|sshpass -p|[;&][ ]?(?i:password|pwd)=",
    ),
    Kind(
        "an Authorization header",
        r"(?:(?i:basic)[ ]{1,2}|\"auth\\?\":[ ]?\\?\")(?P<v>[A-Za-z0-9+/]{8,4000}={0,2})",
        "basic",
    ),
    Kind(
        "an Authorization header",
        r"(?i:bearer|authorization[\"']?[:=] ?[\"']?(?:token|key|apikey|api-key|ssws))[ ]{1,2}"
        r"(?:token=)?(?P<v>[A-Za-z0-9._~+/-]{16,4000}={0,2})",
        "token",
    ),
    Kind(
        "an Azure storage key",
        r"(?i:AccountKey|SharedAccessKey|SharedSecret)[ \t\"':\\]{0,4}[=:][ \t\"'\\]{0,4}"
        r"(?P<v>[A-Za-z0-9+/]{30,}={0,2})",
        free=True,
    ),
    # A name that says it is secret, and what follows it.
    Kind(
        "a secret by its name",
        r"(?i:(?:api|access|secret|private|account|client|signing|encryption|auth|shared|master"
        r"|service|license|app|bot|user)[_. -]?key|[_ (,;?&{\"'-]key|secret"
        r"|pass(?:wo?r?d|phrase|code)?|pwd|token|credentials?|_auth|authorization"
        r"|session(?:[_-]?(?:id|key))?|PHPSESSID|wandb[ .]login)"
        r"(?:_[A-Za-z0-9]{1,12}){0,2}"
        r"[ \t\\\"'\]}=:,>|`*]{1,8}(?:(?:is|value[ ]?=|base64)[ \t:`\\\"']{1,3})?b?[\\\"'`(<]{0,3}"
        r"(?P<v>[A-Za-z0-9_+/=.~!@#$%^&*-]{12,400})",
        "random",
        free=True,
        quick=r"(?i:key|secret|pass|pwd|token|credential|_auth|authori|sess|wandb)[A-Za-z0-9_]{0,30}"
        r"[ \t\\\"'\]}=:,>|`*(<]{1,11}(?:(?:is|value[ ]?=|base64)[ \t:`\\\"']{1,3})?"
        r"b?[\\\"'`(<]{0,3}[A-Za-z0-9_+/=.~!@#$%^&*-]{12}|wandb[ .]login",
    ),
)
WORDS = (MODELS, CLOUDS, CODE, SERVICES, TOKENS)
KINDS = tuple(kind for kinds in (*WORDS, PHRASES) for kind in kinds)
