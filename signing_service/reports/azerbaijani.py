"""A report in Azerbaijani."""

from signing_service.reports.wording import Wording

WORDING = Wording(
    language="az",
    language_name="Azərbaycanca",
    title="Elektron imzanın yoxlanılması haqqında hesabat",
    document="Sənəd",
    digest="SHA-256",
    validated_at="Hansı ana yoxlanılıb",
    policy="Siyasət",
    signature="İmza {number}",
    no_signature="Sənəddə imza yoxdur.",
    signed_by="İmzalayan",
    unknown_signer="naməlum şəxs",
    person_code="Fərdi identifikasiya nömrəsi",
    organisation="Təşkilat",
    when="Vaxt",
    when_proven="{time} anından əvvəl (vaxt möhürü ilə sübut olunub)",
    when_claimed="{time} (bunu yalnız imzalayan bildirir)",
    when_unknown="göstərilməyib",
    level="Səviyyə",
    qualification="Növ",
    covers="Əhatə edir",
    why="Səbəb",
    warning="Xəbərdarlıq",
    note="Qeyd",
    time_stamp="Vaxt möhürü",
    no_time="vaxt yoxdur",
    by="verən:",
    certificate="Sertifikat",
    issuer="Sertifikatı verən",
    serial_number="Seriya nömrəsi",
    page="Səhifə",
    disclaimer=(
        "Bu hesabat proqramın göstərilən an üçün nə müəyyən etdiyini bildirir. O, hüquqi məsləhət"
        " deyil və onu hazırlayan proqram sertifikatlaşdırılmayıb."
    ),
    indications={
        "TOTAL-PASSED": "etibarlıdır",
        "INDETERMINATE": "qərar vermək mümkün deyil",
        "TOTAL-FAILED": "etibarsızdır",
        "NO-SIGNATURE": "imza yoxdur",
    },
    reasons={
        "FORMAT_FAILURE": "İmza öz formatının tələb etdiyi kimi qurulmayıb.",
        "HASH_FAILURE": "İmzalanmış məlumat sonradan dəyişdirilib.",
        "SIG_CRYPTO_FAILURE": "İmza imzalayanın açarına uyğun gəlmir.",
        "REVOKED": "Sertifikat imza yaradılmazdan əvvəl ləğv edilib.",
        "EXPIRED": "Sertifikatın müddəti imza yaradılmazdan əvvəl bitib.",
        "NOT_YET_VALID": "İmza sertifikatın müddəti başlamazdan əvvəl yaradılıb.",
        "SIG_CONSTRAINTS_FAILURE": "İmza siyasətin bir qaydasına uyğun deyil.",
        "CHAIN_CONSTRAINTS_FAILURE": "Sertifikat siyasətin bir qaydasına uyğun deyil.",
        "CERTIFICATE_CHAIN_GENERAL_FAILURE": "Etibarlı mərkəzə aparan sertifikat zəncirini yoxlamaq"
        " mümkün olmadı.",
        "CRYPTO_CONSTRAINTS_FAILURE": "Alqoritm və ya açar etibar etmək üçün çox zəifdir.",
        "POLICY_PROCESSING_ERROR": "İmza siyasətini tətbiq etmək mümkün olmadı.",
        "SIGNATURE_POLICY_NOT_AVAILABLE": "İmza siyasəti tapılmadı.",
        "TIMESTAMP_ORDER_FAILURE": "Vaxt möhürləri bir-birinə ziddir.",
        "NO_SIGNING_CERTIFICATE_FOUND": "İmzalayanın sertifikatı tapılmadı.",
        "NO_CERTIFICATE_CHAIN_FOUND": "Sertifikatdan etibarlı mərkəzə aparan zəncir tapılmadı.",
        "REVOKED_NO_POE": "Sertifikat ləğv edilib və imzanın bundan əvvəl yaradıldığını sübut edən"
        " heç nə yoxdur.",
        "REVOKED_CA_NO_POE": "Mərkəzin sertifikatı ləğv edilib və imzanın bundan əvvəl"
        " yaradıldığını sübut edən heç nə yoxdur.",
        "OUT_OF_BOUNDS_NOT_REVOKED": "Sertifikatın müddəti bitib və imzanın bundan əvvəl"
        " yaradıldığını sübut edən heç nə yoxdur; sertifikat ləğv edilməyib.",
        "OUT_OF_BOUNDS_NO_POE": "Sertifikatın müddəti bitib və ya başlamayıb və imzanın nə vaxt"
        " yaradıldığını sübut edən heç nə yoxdur.",
        "REVOCATION_OUT_OF_BOUNDS_NO_POE": "Sertifikatın statusu haqqında məlumatların müddəti"
        " bitib və onların daha əvvəl alındığını sübut edən heç nə yoxdur.",
        "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "Alqoritm və ya açar bu gün çox zəifdir və imzanın"
        " onların güclü olduğu vaxtda yaradıldığını sübut edən heç nə yoxdur.",
        "NO_POE": "İmzanın lazım olan vaxtda mövcud olduğunu sübut edən heç nə yoxdur.",
        "TRY_LATER": "Sertifikatın hələ də qüvvədə olub-olmadığını öyrənmək mümkün olmadı; sonra"
        " yenidən cəhd edin.",
        "SIGNED_DATA_NOT_FOUND": "İmzalanmış məlumat burada deyil.",
    },
    qualifications={
        "QESig": "kvalifikasiyalı elektron imza",
        "QESeal": "kvalifikasiyalı elektron möhür",
        "AdESig-QC": "kvalifikasiyalı sertifikatla gücləndirilmiş elektron imza",
        "AdESeal-QC": "kvalifikasiyalı sertifikatla gücləndirilmiş elektron möhür",
        "AdESig": "gücləndirilmiş elektron imza",
        "AdESeal": "gücləndirilmiş elektron möhür",
    },
    scopes={
        "full": "bütün sənədi",
        "partial": "sənədin bir hissəsini",
        "none": "göstərilənlərdən heç nəyi",
    },
    changes={
        "permitted": "imzadan sonra yalnız icazə verilən əlavələr edilib",
        "undefined": "imzadan sonra imzalayanın gözləməyəcəyi dəyişiklik edilib",
    },
    stamp_kinds={
        "content": "məzmun üzrə",
        "signature": "imza üzrə",
        "archive": "arxiv üçün",
        "document": "sənəd üzrə",
        "container": "konteyner üzrə",
    },
    stamp_states={"true": "bütövdür", "false": "pozulub", "null": "oxunmur"},
)
