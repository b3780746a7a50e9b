"""`io.jwt`: signing JSON Web Tokens, and whether a signature is right.

Belongs here: RFC 7515 (JWS, compact) with the algorithms of RFC 7518, as OPA's `io.jwt.verify_*` and `io.jwt.encode_sign*`.
Does not: what the claims of a token mean.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}
Functions = dict[str, tuple[int, Callable[..., Any]]]


def functions() -> Functions:
    """The builtins: name to number of arguments and function."""
    found: Functions = {
        "io.jwt.encode_sign": (3, _encode_sign),
        "io.jwt.encode_sign_raw": (3, _sign),
        "io.jwt.verify_eddsa": (2, lambda token, key: _verify("EdDSA", token, key)),
    }
    for family in ("HS", "RS", "PS", "ES"):
        for size in _HASHES:
            name = f"{family}{size}"
            found[f"io.jwt.verify_{name.lower()}"] = (2, _verifier(name))
    return found


def _verifier(algorithm: str) -> Callable[[str, str], bool]:
    return lambda token, key: _verify(algorithm, token, key)


def _verify(algorithm: str, token: str, key: str) -> bool:
    """Whether a token's signature is one of this key. Raises ValueError for what is no token, or no key."""
    signed, _, text = token.rpartition(".")
    if signed.count(".") != 1:
        raise ValueError("encoded JWT had no signature or too many parts")
    signature = _decoded(text)
    if algorithm.startswith("HS"):
        return hmac.compare_digest(signature, hmac.new(key.encode(), signed.encode(), _HASHES[algorithm[2:]]).digest())
    return any(_verified(algorithm, each, signature, signed.encode()) for each in _public_keys(key))


def _verified(algorithm: str, key: Any, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        if algorithm == "EdDSA":
            if not isinstance(key, ed25519.Ed25519PublicKey):
                return False
            key.verify(signature, signed)
            return True
        chosen = _hash(algorithm)
        if algorithm.startswith("ES"):
            if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 2 * ((key.key_size + 7) // 8):
                return False
            half = len(signature) // 2
            parts = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
            key.verify(encode_dss_signature(*parts), signed, ec.ECDSA(chosen))
            return True
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        pss = padding.PSS(padding.MGF1(chosen), padding.PSS.AUTO)
        key.verify(signature, signed, pss if algorithm.startswith("PS") else padding.PKCS1v15(), chosen)
    except InvalidSignature:
        return False
    return True


def _public_keys(text: str) -> list[Any]:
    """The keys of a PEM public key, a PEM certificate, a JWK or a JWK set. Raises ValueError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "-----BEGIN" in text and not text.rstrip().endswith("-----"):
        raise ValueError("extra data after a PEM block")
    if "-----BEGIN CERTIFICATE-----" in text:
        return [x509.load_pem_x509_certificate(text.encode()).public_key()]
    if "-----BEGIN" in text:
        return [load_pem_public_key(text.encode())]
    found = json.loads(text)
    return [_of_jwk(each) for each in (found.get("keys", [found]))]


def _of_jwk(jwk: Mapping[str, str]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    if jwk["kty"] == "EC":
        return ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), _curve(jwk["crv"])).public_key()
    if jwk["kty"] == "OKP":
        return ed25519.Ed25519PublicKey.from_public_bytes(_decoded(jwk["x"]))
    raise ValueError(f"no key of the type {jwk['kty']}")


def _encode_sign(headers: Mapping[str, Any], payload: Any, key: Mapping[str, str]) -> str:
    """A token of a header and claims, with the private JWK `key`; `typ` is JWT where the header has none."""
    return _sign(_compact(headers), _compact(payload), json.dumps(dict(key)))


def _sign(headers: str, payload: str, key: str) -> str:
    """The same from texts, which are signed as they are."""
    header, jwk = json.loads(headers), json.loads(key)
    if header.get("typ", "JWT").upper() == "JWT" and payload:
        json.loads(payload)
    signed = f"{_encoded(headers.encode())}.{_encoded(payload.encode())}"
    return f"{signed}.{_encoded(_signature(header['alg'], jwk, signed.encode()))}"


def _signature(algorithm: str, jwk: Mapping[str, str], signed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if algorithm.startswith("HS"):
        return hmac.new(_decoded(jwk["k"]), signed, getattr(hashlib, _HASHES[algorithm[2:]])).digest()
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(_decoded(jwk["d"])).sign(signed)
    chosen = _hash(algorithm)
    if algorithm.startswith("ES"):
        private = ec.derive_private_key(_number(jwk["d"]), _curve(jwk["crv"]))
        size = (private.curve.key_size + 7) // 8
        return b"".join(
            part.to_bytes(size, "big") for part in decode_dss_signature(private.sign(signed, ec.ECDSA(chosen)))
        )
    n, e, d = _number(jwk["n"]), _number(jwk["e"]), _number(jwk["d"])
    p, q = (_number(jwk["p"]), _number(jwk["q"])) if "p" in jwk else rsa.rsa_recover_prime_factors(n, e, d)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, n)
    )
    pss = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
    return numbers.private_key().sign(signed, pss if algorithm.startswith("PS") else padding.PKCS1v15(), chosen)


def _hash(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]


def _curve(name: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[name]


def _compact(value: Any) -> str:
    return json.dumps(_whole(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _whole(value: Any) -> Any:
    """Numbers as OPA writes them: 1300819380.0 is 1300819380."""
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(map(_whole, value), key=repr)
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
